"""`learnops operator`: what is wrong with a flag is told in a sentence."""

import pytest

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
