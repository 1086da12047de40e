"""One malformed detail of a run costs that detail, and never the run.

What the api would refuse the whole bundle for is left out here, entry by entry, counted and logged.
Never does that make a run look better: a metric that is left out counts as not reported, so its
term counts the worst, and a gate that does not say whether it passed has not.
"""

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

from learnops.client.plain import REPLACEMENT, NotPlainError, Texts, number, plain
from learnops.client.telemetry import Telemetry
from learnops.domain.bundle_limits import (
    MAX_AMOUNT,
    MAX_ARTIFACTS,
    MAX_ENTRIES,
    MAX_GATES,
    MAX_LABEL,
    MAX_NUMBER,
    UnstorableError,
    is_label,
    storable,
)
from learnops.domain.crl import terms
from learnops.domain.text import has_controls

# What terms read, and the api refuses a run for.
_CHECKS: Final[Mapping[str, Mapping[str, Callable[[object, str], object]]]] = {
    "metrics": terms.METRICS,
    "costs": {"costUSD": terms.number},
}
# What the run's own budgets are budgets of.
_MEASURED: Final = {
    "maxCostUSD": ("costs", "costUSD"),
    "maxDurationMilliseconds": ("metrics", "latencyP95Milliseconds"),
}
_NAMELESS: Final = "unnamed"
_SHOWN_CHARACTERS: Final = 60
_UNTOLD: Final[Mapping[str, Any]] = {}


class Details:
    """The sections of one bundle, without what the api would refuse it for."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._texts = Texts()

    def named(self, section: str, given: object) -> dict[Any, Any]:
        """A section of names and values; empty, and counted, where something else was given."""
        return self._mapping(section, given) or {}

    def numbers(
        self, section: str, given: object, *, recorded: Mapping[str, Any] = _UNTOLD
    ) -> dict[str, Any]:
        """Metrics or costs: numbers by name, what the agent gave in place of what was recorded."""
        checks = _CHECKS[section]
        told = {**recorded, **self.named(section, given)}
        if len(told) > MAX_ENTRIES:  # those of terms stay
            told = dict(sorted(told.items(), key=lambda item: item[0] not in checks))

        def read(name: str, value: object) -> Any:
            found = _number(value)
            if found is not None and name in checks:
                checks[name](found, name)
            return found

        return self._entries(section, told, read)

    def free(self, section: str, given: object) -> dict[str, Any]:
        """Whatever JSON there is, by name."""
        return self._entries(
            section, self.named(section, given), lambda _, value: self._json(value)
        )

    def artifacts(self, given: object) -> list[Any]:
        """References to what the run made."""
        kept: list[Any] = []
        for place, artifact in enumerate(self._listed("artifacts", given)):
            try:
                if len(kept) == MAX_ARTIFACTS:
                    raise NotPlainError(f"must be one of {MAX_ARTIFACTS} at most")
                if not isinstance(artifact, Mapping):
                    raise NotPlainError(f"{type(artifact).__name__} must be a mapping")
                kept.append(self._json(artifact))
            except Exception as error:  # noqa: BLE001 - types of array libraries raise anything
                self._drop(f"artifacts[{place}]", error)
        return kept

    def gates(self, given: object) -> list[dict[str, Any]]:
        """Each with its name and whether it passed; of too many, those that did not pass stay."""
        told = self._listed("gates", given)
        gates = [self._gate(place, gate) for place, gate in enumerate(told)]
        if len(gates) <= MAX_GATES:
            return gates
        self._drop("gates", f"must be {MAX_GATES} at most", amount=len(gates) - MAX_GATES)
        return sorted(gates, key=lambda gate: bool(gate["passed"]))[:MAX_GATES]

    def budget(
        self, given: object, sections: Mapping[str, MutableMapping[str, Any]]
    ) -> dict[str, Any]:
        """The run's own budgets. What is measured by one that cannot be read, is taken out of the
        sections: by the doer's it could look better than it was."""
        kept: dict[str, Any] = {}
        told = self._mapping("budget", given)
        for name, value in (told or {}).items():
            try:
                kept[name] = _budget(name, value)
            except Exception as error:  # noqa: BLE001 - types of array libraries raise anything
                self._drop(f"budget.{_shown(name)}", error)
        unread = _MEASURED.keys() if told is None else told.keys() - kept.keys()
        for name in unread & _MEASURED.keys():
            section, measured = _MEASURED[name]
            if sections[section].pop(measured, None) is not None:
                self._drop(f"{section}.{measured}", f"its budget.{name} could not be read")
        return kept

    def duration(self, given: object) -> float | None:
        """Milliseconds; None, and counted, where it is none."""
        try:
            return _amount(given)
        except Exception as error:  # noqa: BLE001 - types of array libraries raise anything
            self._drop("durationMilliseconds", error)
            return None

    def conclude(self) -> None:
        """Tell whether text had to be changed."""
        if self._texts.changed:
            self._telemetry.count("texts_cleaned")
            self._telemetry.warn(
                "text", "text of a run had characters that cannot be stored; they were replaced"
            )

    def _mapping(self, section: str, given: object) -> dict[Any, Any] | None:
        """None, and counted, where it cannot be read."""
        if given is None:
            return {}
        try:
            if isinstance(given, Mapping):
                return dict(given)
        except Exception as error:  # noqa: BLE001 - the agent's own type, and the run is reported
            self._drop_section(section, type(error).__name__)
            return None
        self._drop_section(section, f"{type(given).__name__} must be a mapping of names to values")
        return None

    def _listed(self, section: str, given: object) -> list[Any]:
        if given is None:
            return []
        if isinstance(given, list | tuple):
            return list(given)
        self._drop_section(section, f"{type(given).__name__} must be a list or a tuple")
        return []

    def _entries(
        self, section: str, given: Mapping[Any, Any], read: Callable[[str, Any], Any]
    ) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, value in given.items():
            try:
                if not is_label(name):
                    most = f"1 to {MAX_LABEL} characters, no control characters among them"
                    raise NotPlainError(f"its name must be {most}")
                if len(kept) == MAX_ENTRIES:
                    raise NotPlainError(f"must be one of {MAX_ENTRIES} at most")
                kept[name] = read(name, value)
            except Exception as error:  # noqa: BLE001 - types of array libraries raise anything
                self._drop(f"{section}.{_shown(name)}", error)
        return kept

    def _json(self, value: object) -> Any:
        return storable(plain(value, texts=self._texts), depth=1)

    def _gate(self, place: int, given: object) -> dict[str, Any]:
        try:
            told = dict(given) if isinstance(given, Mapping) else {}
            name, passed = told.pop("name", None), number(told.pop("passed", None))
        except Exception:  # noqa: BLE001 - types of array libraries raise anything
            told, name, passed = {}, None, None
        for extra in told:
            self._drop(f"gates[{place}].{_shown(extra)}", "must be name or passed")
        has_name = isinstance(name, str) and name != ""
        if not has_name or not isinstance(passed, int) or passed not in (0, 1):
            self._telemetry.count("gates_unreadable")
            self._telemetry.warn(
                "gate",
                "gates[%d] of a run counts as not passed: must have a name, and passed, True or "
                "False",
                place,
            )
            passed = False
        return {"name": self._label(name) if has_name else _NAMELESS, "passed": bool(passed)}

    def _label(self, name: str) -> str:
        if is_label(name):
            return name
        self._texts.changed = True
        return "".join(REPLACEMENT if has_controls(one) else one for one in name[:MAX_LABEL])

    def _drop_section(self, section: str, why: str) -> None:
        self._telemetry.count("sections_dropped")
        self._telemetry.warn(f"section {section}", "%s of a run was left out: %s", section, why)

    def _drop(self, field: str, why: str | Exception, *, amount: int = 1) -> None:
        self._telemetry.count("details_dropped", amount)
        section = field.partition(".")[0].partition("[")[0]
        path = why.path if isinstance(why, UnstorableError) else ""
        self._telemetry.warn(
            f"detail {section}", "%s of a run was left out: %s", field + path, _reason(why)
        )


def _number(value: object) -> bool | int | float | None:
    found = number(value)
    if found is None or isinstance(found, bool):
        return found
    if not isinstance(found, int | float):
        raise NotPlainError(f"{type(found).__name__} must be a number, True, False or None")
    if not -MAX_NUMBER <= found <= MAX_NUMBER:  # NaN neither
        raise NotPlainError("must be a finite number, at most 2^53")
    return found


def _amount(value: object) -> int | float:
    found = number(value)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise NotPlainError(f"{type(found).__name__} must be a number")
    if not 0 <= found <= MAX_AMOUNT:
        raise NotPlainError(f"must be a number from 0 to {MAX_AMOUNT:g}")
    return found


def _budget(name: object, value: object) -> int | float | None:
    if name not in _MEASURED:
        raise NotPlainError(f"must be one of {', '.join(_MEASURED)}")
    if value is None:
        return None
    found = _amount(value)
    if found == 0:
        raise NotPlainError("must be above 0; leave it out where there is none")
    return found


def _shown(name: object) -> str:
    if not isinstance(name, str):
        return type(name).__name__
    return name if is_label(name) else f"{name!r:.{_SHOWN_CHARACTERS}}"


def _reason(why: str | Exception) -> str:
    """Never the message of an error of somebody else's: it may hold what is not for a log."""
    if isinstance(why, terms.InvalidMetric):
        return why.detail
    ours = isinstance(why, str | NotPlainError | UnstorableError)
    return str(why) if ours else type(why).__name__
