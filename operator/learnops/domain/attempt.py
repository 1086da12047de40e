"""The id of one attempt of a canary: what its traffic, runs, draws and evidence are kept under."""

from learnops.api.canary import CanaryDeployment, CanaryStatus


def salt_of(canary: CanaryDeployment, status: CanaryStatus) -> str:
    """The rollout's id: it keys the hash, and each Retry draws anew."""
    return f"{canary.metadata.uid}.{status.retries}"
