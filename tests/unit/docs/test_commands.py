"""Each `learnops ...` that a page or a `--help` shows is one that the command takes."""

import argparse
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

import pytest

from learnops.cli.main import COMMANDS
from tests.unit.docs.pages import living

_SHELL = {"", "sh", "shell", "bash"}
_ENDS = {"|", "&&", "||", ";", "&"}
_REDIRECTIONS = {"<", ">", ">>"}
# Flags of other programs that the pages name in a line of text.
_OTHERS = {"--server-side"}
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


class _WrongError(Exception):
    """What argparse says, in place of the end of the process."""


class _Parser(argparse.ArgumentParser):
    """Raises; subparsers are of this class as well."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise _WrongError(message)


def parser() -> _Parser:
    """The command's own, as `learnops.cli.main` puts it together."""
    made = _Parser(prog="learnops")
    subparsers = made.add_subparsers(dest="subcommand", required=True)
    for name in COMMANDS:
        import_module(f"learnops.cli.{name}").add_parser(subparsers)
    return made


def subparsers_of(of: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def every_parser(of: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield of
    for inner in subparsers_of(of).values():
        yield from every_parser(inner)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A command as a reader is shown it, and where."""

    where: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.where}: {' '.join(self.arguments)[:50]}"


def statements(code: str) -> Iterator[list[str]]:
    """The words of each line of shell; one that goes on in the next line is one."""
    text = ""
    for line in code.splitlines():
        text = text.removesuffix("\\") + line if text.endswith("\\") else f"{text}\n{line}"
        if text.endswith("\\"):
            continue
        lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # a quotation that is still open
            continue
        yield words
        text = ""


def commands(code: str) -> Iterator[tuple[str, ...]]:
    """The arguments of each `learnops` or `kubectl learnops` in it."""
    for words in statements(code):
        for one in _split(words):
            begin = one[2:] if one[:2] == ["kubectl", "learnops"] else one[1:]
            told = one[:1] == ["learnops"] or one[:2] == ["kubectl", "learnops"]
            # A line of output such as `learnops evaluate: line 17: ...` is no command.
            if told and begin and not begin[0].endswith(":"):
                yield tuple(begin)


def _split(words: list[str]) -> Iterator[list[str]]:
    """By what stands between commands; without redirections, prompts and assignments."""
    one: list[str] = []
    skip = False
    for word in [*words, ";"]:
        if word in _ENDS:
            yield one
            one = []
        elif word in _REDIRECTIONS:
            skip = True
        elif skip:
            skip = False
        elif one or (word != "$" and "=" not in word):
            one.append(word)


def shown() -> list[Shown]:
    found = [
        Shown(where=page.name, arguments=arguments)
        for page in living()
        for block in page.blocks()
        if block.language in _SHELL
        for arguments in commands(block.code)
    ]
    helps = [
        Shown(where=f"{each.prog} --help", arguments=arguments)
        for each in every_parser(parser())
        for arguments in commands(_examples(each.epilog or ""))
    ]
    return found + helps


def _examples(epilog: str) -> str:
    """The indented lines: the rest is sentences, in which an apostrophe opens no quotation."""
    return "\n".join(line for line in epilog.splitlines() if line.startswith("  "))


@pytest.mark.parametrize("one", shown(), ids=str)
def test_a_command_is_taken(one: Shown) -> None:
    parser().parse_args(one.arguments)


def test_commands_were_found() -> None:
    """The check above is none where it finds nothing."""
    named = {one.arguments[0] for one in shown()}
    assert named == set(COMMANDS)
    assert len(shown()) > 80


def test_a_wrong_flag_would_be_told() -> None:
    with pytest.raises(_WrongError, match="--nonsense"):
        parser().parse_args(["plan", "--nonsense"])


@pytest.mark.parametrize("page", living(), ids=lambda it: it.name)
def test_what_a_sentence_names_is_there(page) -> None:
    """`learnops db upgrade`, `--ttl-seconds`: a subcommand, a flag of it, a flag of any of them."""
    root = parser()
    flags = {it for each in every_parser(root) for it in each._option_string_actions}
    for word in page.words():
        said = re.match(r"(?:kubectl )?learnops ([a-z][a-z -]*)", word)
        at: argparse.ArgumentParser = root
        for name in said[1].split() if said else ():
            below = subparsers_of(at)
            if not below or name.startswith("-"):
                break
            assert name in below, word
            at = below[name]
        known = set(at._option_string_actions) if at is not root else flags
        if at is not root or word.startswith("--"):
            assert set(_FLAG.findall(word)) <= known | _OTHERS, word
