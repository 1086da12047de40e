"""A command works with the extra that it names, and names it where that is not there."""

import pytest

from learnops.cli.main import COMMANDS, EXTRAS
from tests.unit.cli.extras import imported_from, process, refused_by

_IMPORT = """
for name in sys.argv[2:]:
    import_module(name)
"""
_HELP = """
main = import_module("learnops.cli.main").main
for name in sys.argv[2:]:
    try:
        main([*name.split(), "--help"])
    except SystemExit as end:
        assert not end.code
"""
_RUN = """
sys.argv[1:] = sys.argv[2:]
sys.exit(import_module("learnops.cli.main").main())
"""


def test_each_extra_lacks_what_only_another_needs() -> None:
    assert {"fastapi", "kopf"} <= refused_by("cli")
    assert "fastapi" in refused_by("operator") - refused_by("api")
    assert "kopf" in refused_by("api") - refused_by("operator")
    assert "yaml" in refused_by("") - refused_by("cli")
    assert "urllib3" not in refused_by("")


@pytest.mark.parametrize("extra", sorted(set(EXTRAS.values())))
def test_all_that_a_command_imports_is_in_its_extra(extra: str) -> None:
    commands = [it for it in COMMANDS if EXTRAS[it] == extra]
    found = set[str]().union(*(imported_from(f"learnops.cli.{it}") for it in commands))
    done = process(_IMPORT, extra=extra, arguments=tuple(sorted(found)))
    assert (done.returncode, done.stderr) == (0, "")


def test_help_needs_no_extra() -> None:
    done = process(_HELP, extra="", arguments=("", *COMMANDS))
    assert (done.returncode, done.stderr) == (0, "")
    for command in COMMANDS:
        assert f"usage: learnops {command} " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("get",), ""),
        (("plan",), ""),
        (("db", "upgrade"), ""),
        (("db", "upgrade"), "operator"),
        (("api",), "cli"),
        (("operator",), "cli"),
        (("simulate", "--doer", "planner", "--truth", "t.yaml"), ""),
    ],
)
def test_a_missing_extra_is_named(
    arguments: tuple[str, ...], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEARNOPS_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    done = process(_RUN, extra=extra, arguments=arguments)
    command = arguments[0]
    told, _, module = done.stderr.rstrip().rpartition(" ")
    needs = f"needs `pip install 'learnops[{EXTRAS[command]}]'`: there is no module"
    assert (done.returncode, told) == (2, f"learnops {command}: {needs}")
    assert module in refused_by(extra)


def test_a_missing_module_of_our_own_is_a_bug_and_told_as_one() -> None:
    script = "sys.modules['learnops.cli.watch'] = None\n" + _RUN
    done = process(script, extra="cli", arguments=("get",))
    assert "Traceback" in done.stderr
    assert "pip install" not in done.stderr
