"""Tables as kubectl prints them."""

from collections.abc import Sequence


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as they must be; what is not known is a dash."""
    lines = [list(headings), *([_cell(it) for it in row] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(headings))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def number(value: object, *, places: int = 3) -> str:
    """A number for reading; unknown is a dash and never 0."""
    return "-" if value is None else f"{float(str(value)):,.{places}f}"


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else str(value)
