"""Evidence: e-values from the run log (``anytime``) or from Prometheus counters (``counters``).

Both methods have ``start`` and a state with ``evidence()``, ``to_dict()`` and ``from_dict()``; the
result is the same ``standing.Evidence``, so the planner never knows which method produced it.
"""
