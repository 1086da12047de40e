"""What goes wrong in a story: outages, backups that are restored, an operator that is killed."""

from learnops.api.crl import CRLStatus, CRLWeights
from learnops.api.doer import Doer, DoerStatus
from learnops.api.policy import Policy, PolicyStatus
from tests.simulation.acts.beats import Beat
from tests.simulation.store import NotThereError
from tests.simulation.world import World


def canaries(*, enabled: bool) -> Beat:
    """The operator is started again with, or without, `--disable canaries`."""

    def beat(world: World) -> None:
        world.say(f"the operator is started with canaries {'enabled' if enabled else 'disabled'}")
        world.canaries_enabled = enabled

    return beat


def upgrade(**decided: str) -> Beat:
    """Another version of the operator begins, which has read nothing yet; the one before decided
    these weights by its own defaults."""

    def beat(world: World) -> None:
        told = ", ".join(decided)
        world.say(f"the operator is upgraded; by the defaults of the old one {told} counted")
        world.sources.terms = None
        doer = world.store.get("Doer", "planner")
        assert isinstance(doer, Doer)
        crl = CRLStatus(weights=CRLWeights.model_validate(decided), why="of an older version")
        status = doer.status.model_copy(update={"crl": crl})
        world.store.edit_status("Doer", "planner", status)

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


def killed_in(act: Beat, *, actions: int, passes: int = 0) -> Beat:
    """An act, some passes of the operator, and then one that is killed after some actions."""

    def beat(world: World) -> None:
        act(world)
        for _ in range(passes):
            world.one_pass()
        world.stopped_after(actions)

    return beat


def restore_traffic(active: str) -> Beat:
    """The doer's status is restored to one in which another policy was active."""

    def beat(world: World) -> None:
        was_active = {row.policy for row in world.log.rows.values() if row.to_stage == "Active"}
        if active not in was_active:
            raise NotThereError(f"a backup in which {active} is active")
        world.say(f"the doer's status is restored: {active} is active")
        doer = world.store.get("Doer", "planner")
        assert isinstance(doer, Doer)
        traffic = doer.status.traffic
        if traffic is None:
            raise NotThereError("traffic of the doer")
        shares = tuple(
            it.model_copy(update={"policy": active}) if it.policy == traffic.active else it
            for it in traffic.shares
        )
        old = traffic.model_copy(update={"active": active, "shares": shares})
        status = doer.status.model_copy(update={"active_policy": active, "traffic": old})
        world.store.edit_status("Doer", "planner", status)

    return beat
