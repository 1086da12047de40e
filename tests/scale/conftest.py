"""The operator alone, under its own rights, with all the objects of one namespace."""

from tests.integration.conftest import objects, operator_kubeconfig
from tests.integration.operator.conftest import migrated, start_operator

__all__ = ["migrated", "objects", "operator_kubeconfig", "start_operator"]
