"""The wire format of signals that come after a run."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field

from learnops.api.common import Name
from learnops.domain.bundle_limits import MAX_LATER, storable
from learnops.server.crowds import FewErrors
from learnops.server.models import Wire, printable
from learnops.server.quality import Quality, SignalName

_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)


def _is_text(value: Any) -> Any:
    # Pydantic takes a number in a text for seconds since 1970.
    if not isinstance(value, str) or value[4:5] != "-":
        raise ValueError("must be a time as text, e.g. 2026-11-20T10:00:00Z")
    return value


def _sensible(value: datetime) -> datetime:
    if not _EARLIEST <= value < _LATEST:
        raise ValueError("must be a time in the years 2000 to 2099")
    # Postgres takes offsets below 16 hours alone; ISO 8601 has them up to 23:59.
    return value.astimezone(UTC)


SignalKey = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(printable)]
Source = Annotated[str, Field(max_length=128), AfterValidator(printable)]
Note = Annotated[str, Field(max_length=2000), AfterValidator(storable)]
Time = Annotated[AwareDatetime, BeforeValidator(_is_text), AfterValidator(_sensible)]


class LaterSignal(Wire):
    """What somebody found out about a run's work.

    `key` makes a repetition safe; `observedAt` is kept as told: the order is that of arrival.
    """

    name: SignalName
    value: Quality
    key: SignalKey
    source: Source = ""
    note: Note = ""
    observed_at: Time | None = None


class SignalsRequest(Wire, FewErrors):
    """Signals of one run, stored together or not at all."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "namespace": "agents",
                    "doer": "planner",
                    "signals": [
                        {
                            "name": "tests",
                            "value": 0.97,
                            "key": "build-4711/tests",
                            "source": "ci",
                            "observedAt": "2026-11-20T10:00:00Z",
                        }
                    ],
                }
            ]
        }
    )

    namespace: Name
    doer: Name
    signals: Annotated[list[LaterSignal], Field(min_length=1, max_length=MAX_LATER)]


class SignalResult(Wire):
    """One signal: stored now, or before with the same content."""

    key: str
    status: Literal["accepted", "duplicate"]


class RewardLineAnswer(Wire):
    """A signal in the reward: `score` is 1 at best, `share` its part of the reward."""

    term: str
    value: float
    score: float
    weight: float
    share: float


class RewardAnswer(Wire):
    """The reward of a run; `value` null: it has no signal that has a weight."""

    value: float | None
    partial: bool
    terms: list[RewardLineAnswer]
    missing: list[str]


class SignalsAnswer(Wire):
    """What became of the signals, in their order, and the run's reward now."""

    run_id: str
    results: list[SignalResult]
    reward: RewardAnswer
