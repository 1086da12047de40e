"""The tutorial's agent. Its model is a stand-in that needs no key and costs nothing: replace it.

usage: python examples/tutorial/agent.py [SECONDS]     fifty answers a second, for ten minutes
"""

import random
import sys
import time

from learnops.client import Learner


def model(prompt: str) -> list[str]:
    """Four statements. One that is asked for sources names more of them, as a real one would."""
    careful = 0.9 if "source" in prompt else 0.3 if "few words" in prompt else 0.6
    return ["so it is [source]" if random.random() < careful else "so it is" for _ in range(4)]


def main(seconds: float) -> None:
    """Answer, measure, report."""
    end = time.monotonic() + seconds
    with Learner("helper") as learner:  # one for the process; where the api is: the environment
        while time.monotonic() < end:
            with learner.run(tenant="acme") as run:  # which policy, decided before the agent starts
                answer = model(run.policy.prompts["system"])
                sourced = sum("[source]" in statement for statement in answer)
                run.finish(metrics={"grounding": sourced / len(answer)})  # returns at once
            time.sleep(0.02)
        print(learner.stats())


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 600.0)
