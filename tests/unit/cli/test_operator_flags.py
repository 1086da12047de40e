"""`learnops operator`: what is wrong with a flag is told in a sentence."""

import argparse

import pytest

from learnops.cli import operator
from learnops.cli.main import main


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--tick-seconds", "soon", "'soon' is not a number of seconds between 0.1 and 3600"),
        ("--tick-seconds", "nan", "'nan' is not a number of seconds between 0.1 and 3600"),
        ("--workers", "1.5", "'1.5' is not a whole number between 1 and 1000"),
        ("--lease-seconds", "0", "'0' is not a whole number between 1 and 1000"),
    ],
)
def test_a_bad_number_is_told_in_a_sentence(
    capsys: pytest.CaptureFixture[str], flag: str, value: str, words: str
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["operator", flag, value])
    assert left.value.code == 2
    assert f"argument {flag}: {words}" in capsys.readouterr().err


def _settings_of(*flags: str) -> frozenset[str]:
    parser = argparse.ArgumentParser()
    operator.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["operator", *flags])
    return operator._settings(arguments, url="postgresql://nowhere").disabled


def test_a_feature_is_disabled_by_flag_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEARNOPS_DISABLE", raising=False)
    assert _settings_of() == frozenset()
    assert _settings_of("--disable", "canaries") == {"canaries"}
    monkeypatch.setenv("LEARNOPS_DISABLE", " canaries ,")
    assert _settings_of() == {"canaries"}


def test_an_unknown_feature_is_refused_and_never_left_on_in_silence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["operator", "--disable", "canary"])
    assert left.value.code == 2
    assert "invalid choice: 'canary'" in capsys.readouterr().err
    monkeypatch.setenv("LEARNOPS_DISABLE", "canaries,Crl")
    assert main(["operator"]) == 2
    told = "learnops operator: 'Crl' is no feature; LEARNOPS_DISABLE must be of canaries\n"
    assert capsys.readouterr().err == told
