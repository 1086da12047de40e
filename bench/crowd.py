"""Many doers: 500 that do nothing, 50 with a live canary; made once for several benchmarks."""

from dataclasses import dataclass

from bench.objects import Objects

IDLE = 500
LIVE = 50
TICK_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """The objects of the crowd, and the names of those with a canary."""

    objects: Objects
    live: tuple[str, ...]

    def wait_live(self) -> None:
        """Start the canaries where they are not there yet, and wait for their traffic."""
        there = {one["metadata"]["name"] for one in self.objects.all("doers")}
        if not there.issuperset(self.live):
            by_source = {"RunLog": self.live[::2], "Prometheus": self.live[1::2]}
            for source, names in by_source.items():
                self.objects.doers(names, source=source)
            self.objects.wait_served(IDLE + LIVE)
            self.objects.start_canaries(self.live, "v2")
        self.objects.wait_live(LIVE)


def make_crowd(objects: Objects) -> Crowd:
    """Make the idle doers; canaries come with `wait_live`."""
    objects.doers(f"idle-{number:03}" for number in range(IDLE))
    return Crowd(objects=objects, live=tuple(f"live-{number:02}" for number in range(LIVE)))
