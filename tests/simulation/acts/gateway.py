"""What happens at the HTTPRoute of a story."""

from tests.simulation.acts.beats import Beat
from tests.simulation.world import World


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
