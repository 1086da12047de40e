"""The weights of a doer's reward, as the api sees the Doer."""

from collections.abc import Mapping

from learnops.adapters.postgres.signals import RunSignals, Signal
from learnops.api.doer import Doer
from learnops.domain.reward import DEFAULT_WEIGHTS
from learnops.server.models import Bundle
from learnops.server.state import State

BUNDLE_SOURCE = "bundle"


def weights_of(doer: Doer | None) -> Mapping[str, float]:
    """Weight of each signal; the defaults where the doer names none, or is not there any more."""
    if doer is None or doer.spec.learning.reward is None:
        return DEFAULT_WEIGHTS
    named = doer.spec.learning.reward.weights.to_wire()
    return {signal: float(weight) for signal, weight in named.items()}


def signals_of(bundle: Bundle, *, state: State) -> RunSignals | None:
    """What a bundle says of the quality of its run; None: nothing."""
    if not bundle.signals:
        return None
    doer = state.doers.get((bundle.namespace, bundle.doer))
    return RunSignals(
        namespace=bundle.namespace,
        run_id=bundle.run_id,
        doer=bundle.doer,
        weights=weights_of(doer),
        signals=[
            Signal(name=name, value=value, source=BUNDLE_SOURCE)
            for name, value in bundle.signals.items()
        ],
    )
