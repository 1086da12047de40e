"""Where the api is, and the bounds the SDK keeps."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from learnops.client.address import base_url
from learnops.client.bounds import RANGES
from learnops.client.token import Token, found_file
from learnops.client.token import given as given_token

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Bounds of the SDK. Times are in seconds, sizes in bytes.

    Raises ValueError where one is no number or out of its range (`bounds.RANGES`), and names it.

    Attributes:
        registration_seconds: how long `start` waits at most for the api to acknowledge a
            registration while a canary is live; without an answer the run gets control.
        first_snapshot_seconds: how long after the learner was made, or in a forked child after its
            first `start`, a `start` may still wait for the first snapshot; later ones do not wait.
        long_poll_seconds: how long the api may hold a question for a newer snapshot.
        request_seconds: the longest any request in the background may take.
        batch_runs: the most bundles in one request.
        batch_seconds: how long a bundle waits for others to join its request.
        buffer_runs: bundles kept in memory while the api is away; more are dropped and counted.
        buffer_bytes: the same as a size.
        signal_seconds: how long signals of a run that the api does not know are tried again: its
            bundle may still be on the way.
        shadow_waiting: candidates that may wait to run beside control; more are left out.
        close_seconds: how long `close` waits for the buffer to drain.
        spool_seconds: how long `finish` waits at most until its bundle is on disk; then it is kept
            in memory as well.
        spool_runs: bundles on disk of this process, and signals; more wait in memory alone.
        spool_bytes: the same as a size, of all processes of the doer; signals may take a quarter of
            it beside, and a process may begin one file of 1 MiB more of each.
        spool_keep_seconds: what a process left longer ago is deleted unsent.
    """

    registration_seconds: float = 0.25
    first_snapshot_seconds: float = 5.0
    long_poll_seconds: int = 25
    request_seconds: float = 10.0
    batch_runs: int = 500
    batch_seconds: float = 0.1
    buffer_runs: int = 20_000
    buffer_bytes: int = 64 * 2**20
    signal_seconds: float = 30.0
    shadow_waiting: int = 16
    close_seconds: float = 5.0
    spool_seconds: float = 0.05
    spool_runs: int = 200_000
    spool_bytes: int = 256 * 2**20
    spool_keep_seconds: float = 7 * 86_400.0

    def __post_init__(self) -> None:
        for name, bound in RANGES.items():
            bound.check(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Whom this learner speaks for, and to which api. `spool` None: all waits in memory."""

    api: str
    token: str | None = field(repr=False)
    namespace: str
    doer: str
    serving: str | None
    options: Options
    spool: Path | None = None
    token_file: str | None = None  # instead of `token`: read again whenever it changes

    @classmethod
    def resolve(
        cls,
        *,
        doer: str,
        api: str | None,
        token: str | None,
        namespace: str | None,
        serving: str | None,
        options: Options,
        spool: str | os.PathLike[str] | None = None,
        token_file: str | None = None,
    ) -> Self:
        """Fill what is not given from LEARNOPS_API, LEARNOPS_NAMESPACE, LEARNOPS_SPOOL, and
        LEARNOPS_TOKEN, LEARNOPS_TOKEN_FILE or the place of a projected token.

        Raises:
            ValueError: naming the argument that is missing or malformed; an agent that cannot be
                set up at all should fail at its start and not in silence.
        """
        found_api = base_url(api)
        found_namespace = namespace or os.environ.get("LEARNOPS_NAMESPACE", "")
        _check_name("namespace", found_namespace, hint="pass namespace= or set LEARNOPS_NAMESPACE")
        _check_name("doer", doer, hint="pass the name of the Doer object")
        if serving is not None:
            _check_name("serving", serving, hint="pass the name of the Policy this process serves")
        told = token or (None if token_file else os.environ.get("LEARNOPS_TOKEN"))
        # A secret that was written with `echo` ends with a line feed.
        found_token = given_token(told) if told else None
        found_token_file = None if found_token else token_file or found_file()
        Token(file=found_token_file).check()
        return cls(
            api=found_api,
            token=found_token,
            token_file=found_token_file,
            namespace=found_namespace,
            doer=doer,
            serving=serving,
            options=options,
            spool=spool_folder(spool),
        )


def spool_folder(given: str | os.PathLike[str] | None) -> Path | None:
    """Where bundles wait on disk: `given`, else LEARNOPS_SPOOL, else the user's state folder.

    None where it is empty or `off`, or where nothing is said and the user has no home.

    Raises:
        ValueError: it can be no path.
    """
    told = os.environ.get("LEARNOPS_SPOOL") if given is None else os.fspath(given)
    if told is not None and told.strip().lower() in ("", "off"):
        return None
    if told is not None and "\0" in told:
        raise ValueError(f"spool is {told!r}, which is no path; pass a folder, or 'off'")
    try:
        # Absolute from the beginning: an agent may change its folder later.
        return _state_folder() if told is None else Path(told).expanduser().absolute()
    except (RuntimeError, OSError):  # nobody knows the home of this user, or the present folder
        return None


def _state_folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "learnops" / "spool"


def _check_name(field_name: str, value: str, *, hint: str) -> None:
    if not _NAME.fullmatch(value):
        raise ValueError(f"{field_name} is {value!r}, which is no name of an object; {hint}")
