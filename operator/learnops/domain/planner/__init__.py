"""The planner: `decide(snapshot) -> Plan`, pure; every branch of the product lives here."""

from learnops.domain.planner.chain import decide
from learnops.domain.planner.needs import Needs, needs

__all__ = ["Needs", "decide", "needs"]
