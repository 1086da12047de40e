"""A node for a control plane that has none: it runs the pods of Jobs as local processes."""

from testbed.localnode.node import LocalNode

__all__ = ["LocalNode"]
