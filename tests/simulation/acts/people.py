"""What people do in a story with `kubectl`. Each act is one beat; then the operator works."""

from typing import Any

from learnops.api.assignment import Assignment
from learnops.api.canary import Action, ActionType, CanaryDeployment, Run
from learnops.api.common import Ref
from learnops.api.doer import CRL, Doer
from learnops.api.policy import Policy
from learnops.domain.observed import InvalidObject
from tests.simulation import objects
from tests.simulation.acts.beats import Beat
from tests.simulation.world import World


def apply(*made: Policy | Doer | CanaryDeployment) -> Beat:
    """`kubectl apply` of new objects."""

    def beat(world: World) -> None:
        names = ", ".join(f"{it.kind} {it.metadata.name}" for it in made)
        world.say(f"somebody applies {names}")
        for obj in made:
            world.store.create(obj, at=world.now)

    return beat


def set_ref(policy: str) -> Beat:
    """policyRef is changed."""

    def beat(world: World) -> None:
        world.say(f"somebody sets policyRef to {policy}")
        world.store.edit_spec("Doer", "planner", policy_ref=Ref(name=policy))

    return beat


def reweigh(**weights: str) -> Beat:
    """The CRL is changed."""

    def beat(world: World) -> None:
        world.say("somebody changes the weights of the CRL")
        crl = CRL.model_validate({"weights": weights} if weights else {})
        world.store.edit_spec("Doer", "planner", crl=crl)

    return beat


def draw_for(unit: str, **epoch: int) -> Beat:
    """The unit of assignment is changed."""

    def beat(world: World) -> None:
        world.say(f"somebody sets the unit of assignment to {unit}")
        assignment = Assignment.model_validate({"unit": unit, **epoch})
        world.store.edit_spec("Doer", "planner", assignment=assignment)

    return beat


def order(kind: ActionType, id_: str, *, canary: str | None = None) -> Beat:
    """spec.action is set, on the live canary unless named."""

    def beat(world: World) -> None:
        name = canary or world.live_canary()
        world.say(f"somebody orders {kind} ({id_}) of {name}")
        action = Action(type=kind, id=id_)
        world.store.edit_spec("CanaryDeployment", name, action=action)

    return beat


def run(value: Run, *, canary: str) -> Beat:
    """spec.run is set."""

    def beat(world: World) -> None:
        world.say(f"somebody sets {canary} to {value}")
        world.store.edit_spec("CanaryDeployment", canary, run=value)

    return beat


def delete(kind: str, name: str) -> Beat:
    """`kubectl delete`."""

    def beat(world: World) -> None:
        world.say(f"somebody deletes {kind} {name}")
        world.store.delete(kind, name, at=world.now)

    return beat


def break_object(kind: str, name: str, message: str) -> Beat:
    """An object that this version cannot read."""

    def beat(world: World) -> None:
        world.say(f"somebody applies a {kind} {name} that cannot be read")
        found = world.store.items.get((kind, name))
        world.invalid.append(
            InvalidObject(
                kind=kind,
                name=name,
                uid=found.now.metadata.uid if found else name,
                generation=1,
                resource_version="1",
                message=message,
            )
        )

    return beat


def begin(*, gateway: bool = False, **rollout: Any) -> list[Beat]:
    """A doer with its first policy."""

    def router(world: World) -> None:
        world.gateway = gateway

    made = objects.doer(policy="v1", gateway=gateway, **rollout)
    first = apply(objects.policy("v1"), made)
    return [lambda world: (router(world), first(world), None)[-1]]


def start(candidate: str, **spec: Any) -> list[Beat]:
    """A new policy and the change of policyRef that asks for it."""
    return [apply(objects.policy(candidate, **spec)), set_ref(candidate)]


def delete_slowly(kind: str, name: str) -> Beat:
    """`kubectl delete` of an object that somebody else's finalizer keeps."""

    def beat(world: World) -> None:
        world.say(f"somebody deletes {kind} {name}, which a finalizer keeps")
        world.store.keep_on_delete(kind, name)
        world.store.delete(kind, name, at=world.now)

    return beat
