"""`learnops run -- CMD` as these tests start it."""

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.client.stand_in import StandInApi
from tests.patience import LEARNOPS_RUN

FALLBACK = {
    "apiVersion": "learnops.dev/v1alpha1",
    "kind": "Policy",
    "metadata": {"name": "planner-v0"},
    "spec": {
        "version": "0.9.0",
        "prompts": {"variants": [{"name": "base", "system": "Plan anyway."}]},
        "models": {"variants": [{"name": "small", "model": "model-0"}]},
    },
}


SHOW = 'printf "%s " "$LEARNOPS_RUN_ID" "$LEARNOPS_ARM" "$LEARNOPS_POLICY" "$LEARNOPS_MODEL"'
Start = Callable[..., "subprocess.Popen[str]"]


def environment(api: StandInApi) -> dict[str, str]:
    return {
        **os.environ,
        "LEARNOPS_API": api.url,
        "LEARNOPS_NAMESPACE": "agents",
        "LEARNOPS_TOKEN": "s3cret",
        "LEARNOPS_TOKEN_FILE": "/nowhere/token-of-the-pod",
    }


@pytest.fixture
def run(api: StandInApi) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run it to its end."""

    def to_its_end(
        *command: str, options: tuple[str, ...] = (), stdin: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*LEARNOPS_RUN, *options, "--", *command],
            env=environment(api),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            start_new_session=True,
        )

    return to_its_end


def bundle(content: Any) -> str:
    """A command that writes a bundle."""
    return f"cat > \"$LEARNOPS_BUNDLE_FILE\" <<'END'\n{json.dumps(content)}\nEND\n"
