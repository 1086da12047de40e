"""Bounds that no pause of a thread reaches, for learners of tests that are about something else."""

import sys

from learnops.client import Options

# How long a thread of the SDK is waited for: the registrar's, and the spool's.
WAITS = {"registration_seconds": 20.0, "spool_seconds": 20.0}
# Of a process that ends well.
PATIENT = Options(first_snapshot_seconds=60.0, close_seconds=60.0, **WAITS)
# The same of `learnops run`.
LEARNOPS_RUN = [
    *(sys.executable, "-m", "learnops.cli.main", "run", "--doer", "planner"),
    *("--wait-seconds", "60", "--report-seconds", "60"),
]
