"""The documentation as its readers have it: pages, headings, blocks of code, words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
# What is written once and stays as it was.
_DATED = ("docs/adr/",)
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```$", re.M | re.S
)
_HEADING = re.compile(r"^#{1,6} +(?P<title>.*)$", re.M)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of code. `language` is empty where the page names none, or the block is indented."""

    language: str
    code: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        """From the root of the repository, as a reader would say it."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """Without its code blocks."""
        return re.sub(r"(?m)^    .*$", "", _FENCE.sub("", self.text))

    @property
    def anchors(self) -> set[str]:
        """What a link may name behind #, as GitHub makes it of headings."""
        return {_anchor(found["title"]) for found in _HEADING.finditer(_FENCE.sub("", self.text))}

    def blocks(self) -> Iterator[Block]:
        """Fenced ones, then indented ones."""
        for found in _FENCE.finditer(self.text):
            code = re.sub(rf"(?m)^{found['indent']}", "", found["code"])
            yield Block(language=found["language"], code=code)
        rest = _FENCE.sub("", self.text)
        for found in re.finditer(r"(?m)(?:^    .*\n?|^\n(?=    ))+", rest):
            yield Block(language="", code=re.sub(r"(?m)^ +", "", found[0]))

    def words(self) -> Iterator[str]:
        """What stands between backticks in a line."""
        for found in re.finditer(r"`([^`\n]+)`", _FENCE.sub("", self.text)):
            yield found[1]


def _anchor(title: str) -> str:
    plain = re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", title).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def pages() -> list[Page]:
    """All of them, with the README, the changelog and those beside the examples."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    return [Page(path=path) for path in sorted(found)]


def living() -> list[Page]:
    """Those that are to be true today: no decision records, no changelog."""
    return [
        page for page in pages() if page.name != "CHANGELOG.md" and not page.name.startswith(_DATED)
    ]
