"""The whole product, as the fault tests start it."""

from tests.fault.conftest import installed, start_product
from tests.integration.operator.conftest import start_operator

__all__ = ["installed", "start_operator", "start_product"]
