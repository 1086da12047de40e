"""What is imported on the way to a long life is not looked through for garbage."""

import subprocess
import sys

# In a process of its own: what is frozen stays so, and the garbage of the tests would be with it.
_PROGRAM = """
import gc
from learnops.cli.loading import loading

class Part:
    pass

with loading():
    inside = gc.isenabled()
    kept = Part()
print(inside, gc.isenabled(), any(each is kept for each in gc.get_objects()))
"""
_FAILS = """
import gc
from learnops.cli.loading import loading

try:
    with loading():
        import a_module_that_is_not_there
except ModuleNotFoundError:
    print(gc.isenabled())
"""


def test_the_collector_rests_meanwhile_and_leaves_out_what_came() -> None:
    assert _said(_PROGRAM) == "False True False\n"


def test_it_works_again_after_an_error() -> None:
    assert _said(_FAILS) == "True\n"


def _said(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout
