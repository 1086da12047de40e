"""Which texts may name something: the same in the SDK, the command line and the api.

Standard library only, because every agent imports this.
"""

from typing import Final
from unicodedata import category

# Of Unicode's categories: control, surrogate, line and paragraph separator. What writing systems
# need is none of these: spaces of all widths, marks of direction, joiners.
_CONTROL: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def has_controls(text: str) -> bool:
    """Whether the text holds control characters, line ends or lone surrogates."""
    return not text.isprintable() and any(category(one) in _CONTROL for one in text)
