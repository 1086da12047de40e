"""What a person's kubeconfig says beside the way to the API server."""

from pathlib import Path

import yaml
from kubernetes.aio import config

_IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_DEFAULT = "default"


def namespace_of(kubeconfig: Path | None) -> str:
    """The namespace of the current context, or the pod's own; `default` where none is named.

    A file that cannot be read names none: whoever connects with it is told why.
    """
    if kubeconfig is None:
        return _IN_CLUSTER.read_text().strip() if _IN_CLUSTER.exists() else _DEFAULT
    try:
        _, current = config.list_kube_config_contexts(str(kubeconfig))
    except (config.ConfigException, OSError, yaml.YAMLError, TypeError, ValueError):
        return _DEFAULT
    return str(current["context"].get("namespace") or _DEFAULT)
