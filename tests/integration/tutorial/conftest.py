"""The whole product, as the fault tests start it."""

from tests.fault.conftest import start_product, world
from tests.integration.operator.conftest import start_operator

__all__ = ["start_operator", "start_product", "world"]
