"""Tokens of the users a control plane knows from its start, and kubeconfig files."""

import base64
import dataclasses
import json
import secrets
from collections.abc import Mapping
from pathlib import Path

ADMIN = "admin"
MANAGER = "system:kube-controller-manager"
_ALL_POWERFUL = ("system:masters",)


@dataclasses.dataclass(frozen=True)
class User:
    """A user with a static token."""

    name: str
    groups: tuple[str, ...]
    token: str = dataclasses.field(repr=False)


def make_users(extra: Mapping[str, tuple[str, ...]]) -> dict[str, User]:
    """The admin, the controller manager and ``extra`` (name -> groups), each with a new token.

    The controller manager is all-powerful because here its controllers share one identity.
    """
    groups = {ADMIN: _ALL_POWERFUL, MANAGER: _ALL_POWERFUL, **extra}
    return {name: User(name, found, secrets.token_hex(16)) for name, found in groups.items()}


def write_token_file(path: Path, users: Mapping[str, User]) -> Path:
    """Write what --token-auth-file reads (token,user,uid,"group,group"), mode 0600."""
    lines = (f'{u.token},{u.name},uid-{u.name},"{",".join(u.groups)}"' for u in users.values())
    return _write_private(path, "\n".join(lines) + "\n")


def write_kubeconfig(path: Path, *, url: str, ca: bytes, user: str, token: str) -> Path:
    """Write a self-contained kubeconfig (no reference to other files), mode 0600."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "testbed",
                "cluster": {
                    "server": url,
                    "certificate-authority-data": base64.b64encode(ca).decode(),
                },
            }
        ],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": user}}],
        "current-context": "testbed",
    }
    return _write_private(path, json.dumps(config, indent=2))  # JSON is YAML


def _write_private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path
