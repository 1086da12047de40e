"""Why a pod does not start."""

from testbed.errors import TestbedError


class RefusedError(TestbedError):
    """The pod asks for something that the local node cannot honour; it will not change."""


class NotYetError(TestbedError):
    """Something the pod needs is not there yet; to be tried again."""


class VanishedError(TestbedError):
    """The pod's object is gone or another's, or the node stops: nothing is left to report."""
