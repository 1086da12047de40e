"""What may be said about how long rows are kept."""

import pytest

from learnops.cli.main import main
from learnops.cli.retention import RetentionError, keep_days


def test_days_by_table_and_the_last_of_two_holds() -> None:
    found = keep_days([" runs=90d", "learning_bundles=30d", "runs=365d"])
    assert found == {"runs": 365, "learning_bundles": 30, "signals": 365}


@pytest.mark.parametrize(
    ("settings", "days"),
    [
        (["signals=30d"], {"signals": 30}),
        (["runs=365d", "signals=30d"], {"runs": 365, "signals": 30}),
        (["signals=400d", "runs=365d"], {"runs": 365, "signals": 400}),
        (["learning_bundles=30d"], {"learning_bundles": 30}),
    ],
)
def test_signals_without_a_run_stay_as_long_as_runs_unless_told(
    settings: list[str], days: dict[str, int]
) -> None:
    assert keep_days(settings) == days


def test_nothing_said_keeps_everything() -> None:
    assert keep_days([]) == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["policy_promotions=30d"], "the table must be one of learning_bundles, drift_runs, runs,"),
        (["runs"], "'runs': must be a number of days, such as runs=30d"),
        (["runs=30"], "'runs=30': must be a number of days, such as runs=30d"),
        (["runs=-30d"], "must be a number of days"),
        (["runs=1e3d"], "must be a number of days"),
        (["runs=\u0663\u0660d"], "must be a number of days"),
        (["runs=7d"], "'runs=7d': must be 8d to 36500d"),
        (["signals=0d"], "'signals=0d': must be 1d to 36500d"),
        (["shadow_pairs=0d"], "'shadow_pairs=0d': must be 1d to 36500d"),
        (["runs=99999d"], "must be 8d to 36500d"),
        (["runs=30d", "learning_bundles=31d"], "learning_bundles=31d must not be more than runs"),
    ],
)
def test_what_cannot_be_is_named(settings: list[str], message: str) -> None:
    with pytest.raises(RetentionError) as caught:
        keep_days(settings)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["retention", "--keep", "runs=1d"], "learnops db retention: 'runs=1d': must be 8d"),
        (["erase-tenant", "agents", ""], "learnops db erase-tenant: tenant must have 1 to 253"),
    ],
)
def test_the_command_refuses_before_it_looks_for_a_database(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setenv("LEARNOPS_DATABASE_URL", "postgresql://nowhere.invalid/x")
    assert main(["db", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_environment_is_read_as_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEARNOPS_DATABASE_URL", "postgresql://nowhere.invalid/x")
    monkeypatch.setenv("LEARNOPS_RETENTION", "learning_bundles=30d,runs=soon")
    assert main(["db", "retention"]) == 2
    assert "'runs=soon': must be a number of days" in capsys.readouterr().err
