"""What `learnops watch` says at a rollout's end, where it ends between two of its reads."""

import json

import pytest

from learnops.cli.cluster.session import Cluster
from learnops.cli.watch import Following

DOER = "/apis/learnops.dev/v1alpha1/namespaces/agents/doers/planner"


class Api:
    """An API server whose operator promotes planner-v2 after the first read of the doer."""

    def __init__(self):
        self.active, self.stage = "planner-v1", "Canary"

    async def call(self, _verb, path, **_):
        told = self._doer() if path == DOER else {"items": [self._canary()]}
        # The operator writes the doer first, then the canary.
        self.active, self.stage = "planner-v2", "Promoted"
        return told

    def _doer(self):
        return {
            "metadata": {"name": "planner", "namespace": "agents"},
            "spec": {"policyRef": {"name": "planner-v2"}},
            "status": {"handledPolicyRef": "planner-v2", "activePolicy": self.active},
        }

    def _canary(self):
        return {
            "metadata": {"name": "c1", "uid": "u", "creationTimestamp": "2026-11-20T10:00:00Z"},
            "spec": {
                "doerRef": {"name": "planner"},
                "candidateRefs": [{"name": "planner-v2"}],
            },
            "status": {"stage": self.stage},
        }


@pytest.mark.parametrize("as_json", [False, True])
async def test_the_last_line_tells_what_the_promotion_made_active(as_json, capsys):
    cluster = Cluster(rest=Api(), namespace="agents")
    following = Following(cluster=cluster, doer="planner", canary=None, as_json=as_json)
    assert await following.look() == 0
    (line,) = capsys.readouterr().out.splitlines()
    if as_json:
        told = json.loads(line)
        assert (told["active"], told["stage"]) == ("planner-v2", "Promoted")
    else:
        assert line.endswith("c1  Promoted; planner-v2 is active")
