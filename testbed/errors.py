"""What can go wrong in the testbed, always with the way out in the message."""


class TestbedError(RuntimeError):
    """A component could not be built, started, reached or stopped."""

    __test__ = False  # the name starts like a test class; pytest must not collect it
