"""Where the API server is and how to speak to it: in-cluster service account or kubeconfig."""

from pathlib import Path

from kubernetes.aio import client, config

# No call without a timeout: seconds for the whole request, watches excepted.
REQUEST_TIMEOUT_SECONDS = 30.0


async def connect(*, kubeconfig: Path | None = None) -> client.ApiClient:
    """An API client from `kubeconfig`, or from the pod's service account where none is given.

    The caller closes it. Raises `kubernetes.aio.config.ConfigException` when neither is there.
    """
    configuration = client.Configuration()
    if kubeconfig is None:
        config.load_incluster_config(client_configuration=configuration)
    else:
        await config.load_kube_config(
            config_file=str(kubeconfig), client_configuration=configuration
        )
    return client.ApiClient(configuration)
