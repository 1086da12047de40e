"""Where the API server is and how to speak to it: in-cluster service account or kubeconfig."""

from dataclasses import dataclass
from pathlib import Path

import yaml
from kubernetes.aio import client, config

# No call without a timeout: seconds for the whole request, watches excepted.
REQUEST_TIMEOUT_SECONDS = 30.0


class NoClusterError(Exception):
    """There is no way to an API server; the message says what to set."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What another HTTP client (kopf's) needs to speak to the same API server as the same user."""

    server: str
    verify: bool
    ca_file: str | None
    certificate_file: str | None
    key_file: str | None
    authorization: str | None  # value of the header


async def connect(*, kubeconfig: Path | None = None) -> client.ApiClient:
    """An API client from `kubeconfig`, or from the pod's service account where none is given.

    The caller closes it. Raises NoClusterError when neither is there, or the file cannot be used.
    """
    configuration = await _configuration(kubeconfig)
    try:
        return client.ApiClient(configuration)
    except (OSError, ValueError) as error:  # a certificate or a key in it is none
        raise _no_cluster(kubeconfig, error) from error


async def credentials(*, kubeconfig: Path | None = None) -> Credentials:
    """The same as `connect`, read anew (service account tokens rotate); raises as `connect`."""
    found = await _configuration(kubeconfig)
    return Credentials(
        server=found.host,
        verify=found.verify_ssl,
        ca_file=found.ssl_ca_cert,
        certificate_file=found.cert_file,
        key_file=found.key_file,
        authorization=await found.get_api_key_with_prefix("BearerToken", alias="authorization"),
    )


async def _configuration(kubeconfig: Path | None) -> client.Configuration:
    configuration = client.Configuration()
    try:
        if kubeconfig is None:
            config.load_incluster_config(client_configuration=configuration)
        else:
            await config.load_kube_config(
                config_file=str(kubeconfig), client_configuration=configuration
            )
    # TypeError of an empty file, ValueError of one that is no text or has a date in no calendar.
    except (config.ConfigException, OSError, yaml.YAMLError, TypeError, ValueError) as error:
        raise _no_cluster(kubeconfig, error) from error
    return configuration


def _no_cluster(kubeconfig: Path | None, error: Exception) -> NoClusterError:
    where = "this is no pod of a cluster" if kubeconfig is None else f"{kubeconfig}: {error}"
    return NoClusterError(
        f"no Kubernetes API server: {where}; pass --kubeconfig or set KUBECONFIG to a file "
        "that kubectl works with, or run in a pod with its service account"
    )
