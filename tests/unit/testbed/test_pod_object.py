"""What the local node does while the API server is away."""

import threading
from typing import cast

import pytest
import urllib3

from testbed.kubeapi import ApiError, Json, KubeApi
from testbed.localnode.errors import VanishedError
from testbed.localnode.object import PodObject

POD = {"metadata": {"namespace": "n", "name": "p", "uid": "u"}}


class Answers:
    """An API server that gives these answers, one by one."""

    def __init__(self, *answers: Json | Exception) -> None:
        self.left = list(answers)

    def get(self, _path: str) -> Json:
        answer = self.left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def pod(answers: Answers) -> PodObject:
    return PodObject(cast(KubeApi, answers), POD, stopping=threading.Event())


def away() -> Exception:
    return urllib3.exceptions.ProtocolError("nobody is there")


def test_a_look_asks_once_and_a_read_until_there_is_an_answer() -> None:
    answers = Answers(away(), ApiError(status=503, reason="", message="busy"), away(), POD)
    assert pod(answers).look() is None
    assert pod(answers).look() is None
    assert pod(answers).read() == POD
    assert answers.left == []


@pytest.mark.parametrize(
    "told",
    [
        ApiError(status=404, reason="NotFound", message="no such pod"),
        {"metadata": {**POD["metadata"], "uid": "of another"}},
    ],
)
def test_a_look_tells_that_the_pod_is_gone(told: Json | Exception) -> None:
    with pytest.raises(VanishedError):
        pod(Answers(told)).look()
