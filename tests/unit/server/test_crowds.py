"""What is sent as a body has its errors told in one where they are thousands, on each route."""

from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ValidationError

from learnops.adapters.clock import SystemClock
from learnops.adapters.postgres.connection import make_pool
from learnops.server.app import create_app
from learnops.server.auth import DevelopmentToken
from learnops.server.models import Bundle, LargeBundle
from learnops.server.services import assemble
from learnops.server.signal_models import SignalsRequest

HEAD = {"namespace": "agents", "doer": "planner"}
NO_SIGNALS = [{f"X{number}": 1 for number in range(10)}] * 90
MANY = {f"X{number:06d}": 1 for number in range(10_000)}


def bodies() -> list[Any]:
    """The models of all bodies. Nothing is opened: the pool never connects."""
    pool = make_pool("postgresql://", application="learnops-test")
    services = assemble(pool=pool, clock=SystemClock(), ttl_seconds=300)
    app = create_app(services=services, by=DevelopmentToken("never-asked-for-it"))
    fields = [getattr(route, "body_field", None) for route in iter_route_contexts(app.routes)]
    return [field.field_info.annotation for field in fields if field]


def told(model: type[BaseModel], given: Any) -> Any:
    with pytest.raises(ValidationError) as raised:
        model.model_validate(given)
    return raised.value.errors()


def test_each_body_has_its_errors_told_in_one() -> None:
    models = [*bodies(), Bundle, LargeBundle]  # a bundle FastAPI does not read by itself
    assert len(models) >= 6
    for model in models:
        (error,) = told(model, {**HEAD, **MANY})
        assert error["type"] == "crowd", model
        assert error["ctx"]["entries"] == 10_002, model


def test_signals_without_their_fields_are_told_of_as_one() -> None:
    (error,) = told(SignalsRequest, {**HEAD, "signals": NO_SIGNALS})
    assert error["loc"] == ("signals",)
    assert error["msg"] == "has 90 entries; 1170 errors in all are too many to tell each"
