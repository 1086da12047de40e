"""Where a policy comes from: its parents, oldest first, or why they cannot be told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from learnops.api.policy import Policy

MOST_ANCESTORS = 100  # the bound of `Policy.status.lineage`


@dataclass(frozen=True, kw_only=True)
class MissingParent:
    """A policy on the way names a parent that this doer does not have."""

    child: str
    parent: str

    @property
    def message(self) -> str:
        """For the condition."""
        return (
            f"spec.parentRef of {self.child} names {self.parent}, which is no policy of this "
            f"doer; apply {self.parent}, or create {self.child} anew without parentRef"
        )


@dataclass(frozen=True, kw_only=True)
class LineageCycle:
    """Policies that descend from each other; `names` is the circle, each name once."""

    names: tuple[str, ...]

    @property
    def message(self) -> str:
        """For the condition."""
        circle = " -> ".join((*self.names, self.names[0]))
        return f"spec.parentRef goes in a circle ({circle}); create one of them anew without it"


@dataclass(frozen=True, kw_only=True)
class TooManyAncestors:
    """More than MOST_ANCESTORS parents."""

    name: str

    @property
    def message(self) -> str:
        """For the condition."""
        return (
            f"{self.name} has more than {MOST_ANCESTORS} ancestors; "
            "create it anew without parentRef to start a new line"
        )


Lineage: TypeAlias = tuple[str, ...] | MissingParent | LineageCycle | TooManyAncestors


def parents_of(policies: Mapping[str, Policy]) -> dict[str, str | None]:
    """Each policy's parent by name; None where it has none."""
    return {
        name: policy.spec.parent_ref.name if policy.spec.parent_ref else None
        for name, policy in policies.items()
    }


def lineage(name: str, parents: Mapping[str, str | None]) -> Lineage:
    """The ancestors of `name`, oldest first, without itself; KeyError if it is not in `parents`."""
    path = [name]
    while (parent := parents[path[-1]]) is not None:
        if parent in path:
            return LineageCycle(names=tuple(path[path.index(parent) :]))
        if parent not in parents:
            return MissingParent(child=path[-1], parent=parent)
        if len(path) > MOST_ANCESTORS:
            return TooManyAncestors(name=name)
        path.append(parent)
    return tuple(reversed(path[1:]))
