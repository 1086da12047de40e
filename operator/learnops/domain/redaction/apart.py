r"""Whether a number stands on its own: no part of a longer number, word, digest or decimal.

As expressions for `re`, which has look-around; `\w` is what `str.isalnum` says of a letter, or `_`.
"""

from typing import Final


def left_of(beginning: str) -> str:
    """What must stand before a match, to be asked after its beginning was read: so `re` looks for
    that, and looks back only where it is found.

    A hyphen or a point in front joins a number to what stands before; where nothing does it is a
    bullet. `beginning` is of one length.
    """
    return rf"(?<![\w+]{beginning})(?<!\w[.-]{beginning})"


RIGHT: Final = r"(?![\w-])"
"""What must stand after it. For a card a hyphen may, as one joins the groups of its run."""
