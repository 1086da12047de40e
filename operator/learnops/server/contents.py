"""The canonical JSON of large bundles: made and compared beside the event loop."""

import asyncio
from functools import partial

from learnops.server.beside import LARGE_BYTES, Beside
from learnops.server.models import LargeBundle
from learnops.server.rows import content_of, is_hash_of


async def large_content(kept: object, *, beside: Beside) -> str | None:
    """Of a large bundle; None of anything else, which takes no time worth the way."""
    if not isinstance(kept, LargeBundle):
        return None
    return await beside.run(kept.namespace, partial(content_of, kept))


async def is_content_of(stored: bytes, content: str) -> bool:
    """Whether a stored hash is of this content. Of a large one beside the loop, and at once: the
    runs of others wait for the answer."""
    if len(content) <= LARGE_BYTES:
        return is_hash_of(stored, content)
    return await asyncio.to_thread(is_hash_of, stored, content)
