"""The fixtures of the operator's stories."""

from tests.integration.conftest import kube, objects, operator_kubeconfig, rest
from tests.integration.operator.conftest import migrated, start_operator

__all__ = ["kube", "migrated", "objects", "operator_kubeconfig", "rest", "start_operator"]
