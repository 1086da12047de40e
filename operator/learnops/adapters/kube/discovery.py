"""Which of our custom resources the API server serves."""

from learnops.adapters.kube.rest import RestClient
from learnops.adapters.kube.writer import PLURALS
from learnops.api.common import GROUP, VERSION
from learnops.ports.kube import GoneError


async def missing_resources(rest: RestClient) -> list[str]:
    """Names of the CRDs that are not served (yet); raises KubeUnavailableError, RefusedError."""
    try:
        found = await rest.call("GET", f"/apis/{GROUP}/{VERSION}")
        served = {one["name"] for one in found["resources"]}
    except GoneError:
        served = set()
    return [f"{plural}.{GROUP}" for plural in PLURALS.values() if plural not in served]
