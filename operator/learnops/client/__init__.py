"""The SDK: what an agent imports to run with the right policy and to report how it went.

    from learnops.client import Learner

    with Learner("planner") as learner:
        run = learner.start(tenant="acme")
        answer = my_agent(task, **run.policy.prompts, model=run.model)
        run.finish(metrics={"grounding": 0.93}, gates=[{"name": "compiles", "passed": True}])

Standard library and urllib3 only.
"""

from learnops.client.learner import Learner
from learnops.client.policy import Policy
from learnops.client.run import Run
from learnops.client.settings import Options

__all__ = ["Learner", "Options", "Policy", "Run"]
