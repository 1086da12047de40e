"""The operator alone, under its own rights, with all the objects of one namespace."""

from tests.databases import database
from tests.integration.conftest import objects, operator_kubeconfig
from tests.integration.operator.conftest import start_operator

__all__ = ["database", "objects", "operator_kubeconfig", "start_operator"]
