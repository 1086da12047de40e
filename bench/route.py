"""GET /v1/route in an open loop."""

from bench.figure import Figure, median, p99
from bench.ingest import per_request
from bench.load import Load, Payload, Target, open_loop
from bench.rig import Rig
from bench.runs import Runs

RATES = (1000.0, 750.0, 500.0, 250.0)
_SECONDS = 5.0
_P99_SECONDS = 0.005
_DOER = "routed"


def run(rig: Rig) -> list[Figure]:
    """Without a canary at 1,000/s, then at the highest rate that is held; with one at 250/s."""
    objects = rig.objects("route")
    runs = Runs(url=rig.api.url, token=rig.token, namespace=objects.namespace)
    target = Target.of(rig.api.url, token=rig.token)

    def payload(number: int) -> bytes:
        query = f"namespace={objects.namespace}&doer={_DOER}&runId=x{number}"
        return target.request("GET", f"/v1/route?{query}")

    with rig.operator(namespace=objects.namespace):
        objects.doer(_DOER)
        objects.wait_served(1)
        # Warms up as well.
        before = rig.api.cpu_seconds()
        load = open_loop(target, payload, rate=RATES[-1], seconds=_SECONDS)
        used = rig.api.cpu_seconds() - before
        figures = _without_canary(target, payload)
        figures.append(per_request("GET /v1/route", load, cpu_seconds=used))
        objects.start_canary(_DOER, "v2")
        runs.registered(_DOER, count=1)
        load = open_loop(
            target, lambda number: payload(10**6 + number), rate=RATES[-1], seconds=_SECONDS
        )
    name = f"GET /v1/route at {RATES[-1]:.0f}/s while a canary is live"
    return [*figures, median(name, load.seconds), p99(name, load.seconds)]


def _without_canary(target: Target, payload: Payload) -> list[Figure]:
    figures: list[Figure] = []
    for rate in RATES:
        load = open_loop(target, payload, rate=rate, seconds=_SECONDS)
        name = f"GET /v1/route at {rate:,.0f}/s"
        wanted = 5.0 if rate == RATES[0] else None
        figures += [median(name, load.seconds), p99(name, load.seconds, wanted=wanted)]
        if _held(load, rate):
            break
    return figures


def _held(load: Load, rate: float) -> bool:
    late = sum(one > _P99_SECONDS for one in load.seconds)
    return load.failed == 0 and late <= len(load.seconds) / 100 and load.rate > 0.98 * rate
