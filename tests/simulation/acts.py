"""What people, agents and outages do in a story. Each act is one beat; then the operator works."""

from collections.abc import Callable
from typing import Any, TypeAlias

from learnops.api.assignment import Assignment
from learnops.api.canary import Action, ActionType, CanaryDeployment, Run
from learnops.api.common import Ref
from learnops.api.crl import CRLStatus, CRLWeights
from learnops.api.doer import CRL, Doer, DoerStatus
from learnops.api.policy import Policy, PolicyStatus
from learnops.domain.observed import InvalidObject, TermsReading
from learnops.domain.unavailable import ErrorReason, Unavailable
from tests.simulation import objects
from tests.simulation.evidence import BETTER, reading
from tests.simulation.world import World

Beat: TypeAlias = Callable[[World], None]


def apply(*made: Policy | Doer | CanaryDeployment) -> Beat:
    """`kubectl apply` of new objects."""

    def beat(world: World) -> None:
        names = ", ".join(f"{it.kind} {it.metadata.name}" for it in made)
        world.say(f"somebody applies {names}")
        for obj in made:
            world.store.create(obj, at=world.now)

    return beat


def canaries(*, enabled: bool) -> Beat:
    """The operator is started again with, or without, `--disable canaries`."""

    def beat(world: World) -> None:
        world.say(f"the operator is started with canaries {'enabled' if enabled else 'disabled'}")
        world.canaries_enabled = enabled

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


def learn(candidate: str, reading: Any, what: str) -> Beat:
    """Runs come in, or the source goes away."""

    def beat(world: World) -> None:
        world.say(f"{candidate}: {what}")
        world.truth[candidate] = reading

    return beat


def watch(active: str, reading: Any, what: str) -> Beat:
    """Runs of the active policy come in, outside canaries."""

    def beat(world: World) -> None:
        world.say(f"{active}: {what}")
        world.drift[active] = reading

    return beat


def report(active: str, *, runs: int, **reported: int) -> Beat:
    """Runs of the active policy tell these terms, so many of them."""

    def beat(world: World) -> None:
        told = ", ".join(f"{term} in {number}" for term, number in reported.items())
        world.say(f"{active}: of the last {runs} runs {told or 'none tells a term'}")
        world.terms = TermsReading(policy=active, runs=runs, reported=reported)

    return beat


def lose_reports() -> Beat:
    """Nobody can tell any more which terms runs report."""

    def beat(world: World) -> None:
        world.say("what runs report cannot be read")
        reason = ErrorReason.RUN_LOG_UNAVAILABLE
        world.terms = Unavailable(reason=reason, message="run log: gone")

    return beat


def upgrade(**decided: str) -> Beat:
    """Another version of the operator begins, which has read nothing yet; the one before decided
    these weights by its own defaults."""

    def beat(world: World) -> None:
        told = ", ".join(decided)
        world.say(f"the operator is upgraded; by the defaults of the old one {told} counted")
        world.terms = None
        doer = world.store.get("Doer", "planner")
        assert isinstance(doer, Doer)
        crl = CRLStatus(weights=CRLWeights.model_validate(decided), why="of an older version")
        status = doer.status.model_copy(update={"crl": crl})
        world.store.edit_status("Doer", "planner", status)

    return beat


def answer(candidate: str, told: float | Unavailable) -> Beat:
    """What the guardrail's query on a candidate says from now on."""

    def beat(world: World) -> None:
        text = told.message if isinstance(told, Unavailable) else f"p95 is {told}"
        world.say(f"{candidate}: {text}")
        world.answers[candidate] = told

    return beat


def wait(**delta: float) -> Beat:
    """Time passes."""

    def beat(world: World) -> None:
        world.advance(**delta)
        world.say("time has passed")

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


def lose_status(*, of_policies: bool) -> Beat:
    """The doer is deleted and applied again, as from git; with its policies or without."""

    def beat(world: World) -> None:
        world.say("the doer is deleted and applied again, its status empty")
        old = world.store.get("Doer", "planner")
        world.store.delete("Doer", "planner", at=world.now)
        world.store.create(old.model_copy(update={"status": DoerStatus()}), at=world.now)
        for obj in [it for it in world.objects() if isinstance(it, Policy) and of_policies]:
            world.store.edit_status("Policy", obj.metadata.name, PolicyStatus())

    return beat


def run_log(*, up: bool) -> Beat:
    """Postgres goes or comes."""

    def beat(world: World) -> None:
        world.say(f"the run log is {'back' if up else 'gone'}")
        world.log.up = up

    return beat


def restore_log(*, rows: int, rollouts: int) -> Beat:
    """The run log is an older one again: the first rows and rollouts of it, all of them open."""

    def beat(world: World) -> None:
        log = world.log
        world.say(f"the run log is restored to its first {rows} rows and {rollouts} rollouts")
        log.rows = dict(list(log.rows.items())[:rows])
        log.rollouts = dict(list(log.rollouts.items())[:rollouts])
        kept = {arm: one[:1] for arm, one in log.generations.items() if arm[0] in log.rollouts}
        log.generations, log.closed = kept, {}

    return beat


def busy(candidate: str, *, passes: int) -> Beat:
    """The run log is back, and whenever the operator looks there are new runs."""

    def beat(world: World) -> None:
        world.say(f"the run log is back, and {candidate} has new runs at every look")
        world.log.up = True
        for number in range(passes):
            world.truth[candidate] = reading(promote=1 + number / 10, runs=100 + 10 * number)
            world.one_pass()

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


def serve(backend: str, policy: str | None) -> Beat:
    """The pods behind a backend are replaced by those of a policy."""

    def beat(world: World) -> None:
        world.say(f"the pods behind {backend} report {policy or 'nothing'}")
        world.route.digests[backend] = world.digest_of(policy) if policy else None

    return beat


def parent(*, prompt: bool) -> Beat:
    """The gateway accepts changes at once, or takes its time."""

    def beat(world: World) -> None:
        world.say("the gateway is prompt" if prompt else "the gateway is slow to accept")
        world.route.prompt_parent = prompt
        if prompt:
            world.route.accepted = world.route.generation

    return beat


def edit_route(first: int, second: int) -> Beat:
    """Somebody else writes the weights."""

    def beat(world: World) -> None:
        world.say(f"somebody sets the route to {first}/{second}")
        world.route.edit((first, second))

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


def win(candidate: str) -> list[Beat]:
    """The evidence says better."""
    return [learn(candidate, BETTER, "300 runs, better")]


def killed_in(act: Beat, *, actions: int, passes: int = 0) -> Beat:
    """An act, some passes of the operator, and then one that is killed after some actions."""

    def beat(world: World) -> None:
        act(world)
        for _ in range(passes):
            world.one_pass()
        world.stopped_after(actions)

    return beat


def together(*acts: Beat) -> Beat:
    """All of them before the operator looks."""

    def beat(world: World) -> None:
        for act in acts:
            act(world)

    return beat


def delete_slowly(kind: str, name: str) -> Beat:
    """`kubectl delete` of an object that somebody else's finalizer keeps."""

    def beat(world: World) -> None:
        world.say(f"somebody deletes {kind} {name}, which a finalizer keeps")
        world.store.keep_on_delete(kind, name)
        world.store.delete(kind, name, at=world.now)

    return beat


def restore_traffic(active: str) -> Beat:
    """The doer's status is restored to one in which another policy was active."""

    def beat(world: World) -> None:
        was_active = {row.policy for row in world.log.rows.values() if row.to_stage == "Active"}
        assert active in was_active, "a backup holds only what once was"
        world.say(f"the doer's status is restored: {active} is active")
        doer = world.store.get("Doer", "planner")
        assert isinstance(doer, Doer)
        traffic = doer.status.traffic
        assert traffic is not None
        shares = tuple(
            it.model_copy(update={"policy": active}) if it.policy == traffic.active else it
            for it in traffic.shares
        )
        old = traffic.model_copy(update={"active": active, "shares": shares})
        status = doer.status.model_copy(update={"active_policy": active, "traffic": old})
        world.store.edit_status("Doer", "planner", status)

    return beat
