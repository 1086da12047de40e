"""A command's way to the API server: the caller's kubeconfig, namespace and rights."""

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from learnops.adapters.kube.rest import RestClient

Json = dict[str, Any]
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PLURALS = {"Doer": "doers", "Policy": "policies", "CanaryDeployment": "canarydeployments"}
_PAGE = 500
_REQUEST = re.compile(r"^[A-Z]+ \S+: (\d{3} )?")  # what `RestClient` says before the message

_UNKNOWN_CALLER = re.compile(r"^[A-Z]+ \S+: 401 ")


class CommandError(Exception):
    """The command cannot be done as asked; the message says why, and what to do instead."""


class AwayError(CommandError):
    """The API server did not answer: the same may be asked again."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of every command that speaks to the API server; as kubectl's."""
    add = parser.add_argument
    add("-n", "--namespace", type=object_name, help="of the objects (that of the kubeconfig)")
    add(
        "--kubeconfig",
        type=Path,
        help="as for kubectl ($KUBECONFIG, ~/.kube/config; in a pod its service account)",
    )
    add("-o", "--output", choices=("table", "json"), default="table")


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """The flag of commands that write."""
    parser.add_argument(
        "--dry-run",
        choices=("none", "server"),
        default="none",
        help="server: the API server checks it and stores nothing (none)",
    )


def object_name(text: str) -> str:
    """The name of an object; as a type of argparse."""
    if not NAME.fullmatch(text):
        told = "must be lower case letters, digits and -, at most 63, e.g. planner-v2"
        raise argparse.ArgumentTypeError(f"{text!r:.80}: {told}")
    return text


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Objects of one namespace. Each call raises only CommandError."""

    rest: "RestClient"
    namespace: str

    async def get(self, kind: str, name: str) -> Json:
        """An object as it is now."""
        return await self._call("GET", self._path(kind, name))

    async def items(self, kind: str) -> list[Json]:
        """All objects of a kind, in pages."""
        found: list[Json] = []
        following = ""
        while True:
            query = {"limit": str(_PAGE), **({"continue": following} if following else {})}
            page = await self._call("GET", self._path(kind), query=query)
            found += page["items"]
            following = page.get("metadata", {}).get("continue", "")
            if not following:
                return found

    async def create(self, kind: str, manifest: Json, *, dry_run: str = "none") -> Json:
        """A new object as the server stored it, or would."""
        return await self._call("POST", self._path(kind), body=manifest, query=_query(dry_run))

    async def merge(self, kind: str, name: str, patch: Json, *, dry_run: str = "none") -> Json:
        """An object with a change; as the server stored it, or would."""
        path = self._path(kind, name)
        return await self._call("PATCH", path, body=patch, query=_query(dry_run))

    def _path(self, kind: str, name: str = "") -> str:
        base = f"/apis/learnops.dev/v1alpha1/namespaces/{self.namespace}/{_PLURALS[kind]}"
        return f"{base}/{name}" if name else base

    async def _call(
        self,
        verb: str,
        path: str,
        *,
        body: Json | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Json:
        from learnops.adapters.kube import rest
        from learnops.ports import kube

        kind = rest.MERGE_PATCH if verb == "PATCH" else "application/json"
        try:
            return await self.rest.call(verb, path, body=body, query=query, content_type=kind)
        except kube.GoneError as error:
            raise CommandError(f"{_told(error)} (namespace {self.namespace})") from error
        except kube.KubeUnavailableError as error:
            if _UNKNOWN_CALLER.match(str(error)):
                text = "the API server does not know you: the kubeconfig's token is no good, or old"
                raise CommandError(text) from error
            raise AwayError(f"no answer of the API server: {_told(error)}") from error
        except (kube.ConflictError, kube.RefusedError) as error:
            raise CommandError(_told(error)) from error


Work = Callable[[Cluster], Awaitable[int]]


def run_with(arguments: argparse.Namespace, work: Work, *, command: str) -> int:
    """Do it with a connection; the exit code of `work`, or 1 with a line on standard error."""
    try:
        return asyncio.run(_connected(arguments, work))
    except CommandError as error:
        print(f"learnops {command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


async def _connected(arguments: argparse.Namespace, work: Work) -> int:
    # Heavy imports only now: `learnops --help` must be quick.
    from learnops.adapters.kube.connection import NoClusterError, connect
    from learnops.adapters.kube.context import namespace_of
    from learnops.adapters.kube.rest import RestClient

    kubeconfig = arguments.kubeconfig or _usual()
    try:
        api = await connect(kubeconfig=kubeconfig)
    except NoClusterError as error:
        raise CommandError(str(error)) from error
    async with api:
        namespace = arguments.namespace or namespace_of(kubeconfig)
        return await work(Cluster(rest=RestClient(api=api), namespace=namespace))


def _usual() -> Path | None:
    told = os.environ.get("KUBECONFIG")
    if told:
        return Path(told)
    home = Path.home() / ".kube" / "config"
    return home if home.exists() else None


def _query(dry_run: str) -> Mapping[str, str]:
    # Strict, as kubectl: a field that the schema does not know is an error and not dropped.
    return {"fieldValidation": "Strict", **({"dryRun": "All"} if dry_run == "server" else {})}


def _told(error: Exception) -> str:
    return _REQUEST.sub("", str(error))
