"""The programs the testbed runs, built once from hash-verified Go modules.

`python -m testbed.binaries` builds what is missing.
"""

from testbed.binaries.locate import binary, ensure

__all__ = ["binary", "ensure"]
