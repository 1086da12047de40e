"""The schema and the model are one: the real API server and pydantic accept the same objects.

Objects are valid by construction, or spoilt in one place; both judges are asked.
"""

import copy
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from learnops.api.crdgen.render import RESOURCES
from testbed.kubeapi import ApiError
from testbed.stack import Stack
from tests.property.resources import canary_specs, doer_specs, policy_specs

MODELS = {model.__name__: model for model in RESOURCES}
SPECS = {"Doer": doer_specs(), "Policy": policy_specs(), "CanaryDeployment": canary_specs()}
# Each is wrong in most places, and right in some: that is for the judges to tell.
SPOILERS: list[Any] = [
    *("", "0", "0.0", "1", "1.0000001", "0.05", "-1", "1e3", "NaN", "X", "a.b", "2.0.0"),
    *("x" * 300, "\n", "0.5\n", "é", "Counters", "Prometheus", "Rollback", "Paused"),
    *(0, 1, 51, -1, 10**10),
    *([], [1], [50, 5], [5, 5], ["a", "a"]),
    *({}, {"name": "a"}, {"weights": {}}, {"level": "0"}, {"maxRuns": 10}, {"deadlineSeconds": 1}),
    *({"router": "GatewayAPI"}, {"router": "SDK", "backends": ["a", "b"]}),
]
LARGE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(MODELS)))
    spec = copy.deepcopy(draw(SPECS[kind]))
    if draw(st.booleans()):
        holder, key = draw(st.sampled_from(list(_places(spec))))
        value = draw(st.just(_close_but_wrong(holder[key])) | st.sampled_from(SPOILERS))
        if draw(st.booleans()):
            holder[key] = value
        elif isinstance(holder, dict):
            del holder[key]
    return {
        "apiVersion": "learnops.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": draw(st.sampled_from(["it", "b", "a.b", "x" * 64]))},
        "spec": spec,
    }


def _close_but_wrong(value: Any) -> Any:
    match value:
        case int():
            return str(value)
        case str():
            return int(value) if value.isdecimal() else [value]
        case [*_, last]:
            return [*value, last]
        case _:
            return "text"


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def model_accepts(resource: dict[str, Any]) -> bool:
    """As the server fills it in: uid, namespace, time."""
    filled = {
        "namespace": "n",
        "uid": "u",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        **resource["metadata"],
    }
    try:
        MODELS[resource["kind"]].model_validate({**resource, "metadata": filled})
    except ValidationError:
        return False
    return True


def server_accepts(crds: Stack, namespace: str, resource: dict[str, Any]) -> bool:
    """By a dry run that refuses unknown fields, as kubectl asks for."""
    plural = MODELS[resource["kind"]].plural
    path = f"/apis/learnops.dev/v1alpha1/namespaces/{namespace}/{plural}"
    try:
        crds.plane.api.create(f"{path}?dryRun=All&fieldValidation=Strict", resource)
    except ApiError as error:
        if error.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
            raise
        return False
    return True


@settings(max_examples=300, suppress_health_check=LARGE)
@given(resource=objects())
def test_both_accept_the_same(crds: Stack, namespace: str, resource: dict[str, Any]) -> None:
    accepted = model_accepts(resource)
    event(f"{resource['kind']} {'accepted' if accepted else 'refused'}")
    assert accepted == server_accepts(crds, namespace, resource)


@settings(max_examples=100, suppress_health_check=LARGE)
@given(kind=st.sampled_from(sorted(MODELS)), data=st.data())
def test_what_the_server_stores_the_model_reads_as_written(
    crds: Stack, namespace: str, kind: str, data: st.DataObject
) -> None:
    """The server's defaults are the model's: with and without them it is the same spec."""
    model = MODELS[kind]
    resource = {
        "apiVersion": "learnops.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "it"},
        "spec": data.draw(SPECS[kind]),
    }
    path = f"/apis/learnops.dev/v1alpha1/namespaces/{namespace}/{model.plural}"
    stored = crds.plane.api.create(f"{path}?dryRun=All&fieldValidation=Strict", resource)
    written = {**resource, "metadata": stored["metadata"]}
    assert model.model_validate(stored).spec == model.model_validate(written).spec
