"""Each link leads somewhere, and each page can be found from the README."""

import re
from pathlib import Path

import pytest

from tests.unit.docs.pages import ROOT, Page, pages

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_ELSEWHERE = ("http://", "https://", "mailto:")


def targets(page: Page) -> list[str]:
    """What the page's own links name; those to other sites are left out."""
    return [it for it in _LINK.findall(page.prose) if not it.startswith(_ELSEWHERE)]


def leads_to(page: Page, target: str) -> Path:
    return (
        (page.path.parent / target.partition("#")[0]).resolve() if target[0] != "#" else page.path
    )


@pytest.mark.parametrize("page", pages(), ids=lambda it: it.name)
def test_links_resolve(page: Page) -> None:
    for target in targets(page):
        found = leads_to(page, target)
        assert found.exists(), target
        anchor = target.partition("#")[2]
        if anchor and found.suffix == ".md":
            assert anchor in Page(path=found).anchors, target


def test_each_page_is_found_from_the_readme() -> None:
    """A page that nothing leads to is read by nobody. A link to a folder leads to all in it."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if path.is_dir():
            waiting += path.glob("*.md")
        elif path.suffix == ".md":
            page = Page(path=path)
            waiting += [leads_to(page, it) for it in targets(page)]
    assert {page.path for page in pages()} - seen == set()


def test_each_decision_is_in_the_index() -> None:
    folder = ROOT / "docs/adr"
    index = Page(path=folder / "README.md")
    lines = [
        f"- [{path.read_text().splitlines()[0].removeprefix('# ')}]({path.name})"
        for path in sorted(folder.glob("0*.md"))
    ]
    assert [line for line in index.text.splitlines() if line.startswith("- ")] == lines
