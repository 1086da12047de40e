"""An api behind TLS, with a certificate of an authority that only its users know."""

import os
import socket
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from learnops.client.answer import TransportError
from learnops.client.transport import Transport, break_off
from tests.contract.client.stand_in import StandInApi

TLS = Path(__file__).parent / "tls"  # keys of this test alone
AGENT = """
import sys
from dataclasses import replace
from learnops.client import Learner
from testbed.waiting import wait_until
from tests.patience import PATIENT
WAIT = float(sys.argv[2])
options = replace(PATIENT, first_snapshot_seconds=WAIT, close_seconds=WAIT)
with Learner("planner", api=sys.argv[1], namespace="agents", options=options) as learner:
    with learner.run(run_id="a") as run:
        run.finish(metrics={"grounding": 1.0})
    print(run.policy.name, learner.flush(WAIT))
    wait_until(
        # It is told right after it is counted: with the second, the first has been.
        lambda: learner.stats()["revision"] or learner.stats().get("snapshot_errors", 0) > 1,
        what="an answer, or two errors",
        deadline_seconds=60,
    )
"""


@pytest.fixture
def encrypted(api: StandInApi) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.pem")
    server = api._server
    assert server is not None
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    return api.url.replace("http://", "https://")


def agent(url: str, patience: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("SSL_CERT")}
    # A proxy for everything, at which nobody is: the SDK goes to the api itself.
    known |= dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    return subprocess.run(
        [sys.executable, "-c", AGENT, url, patience],
        env={**known, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_private_authority_is_told_by_the_usual_variable(api: StandInApi, encrypted: str) -> None:
    done = agent(encrypted, "60", SSL_CERT_FILE=str(TLS / "authority.pem"))
    assert (done.stdout, done.stderr) == ("planner-v1 True\n", "")
    assert set(api.runs) == {"a"}


def test_what_is_broken_off_gives_the_answer_or_an_end_and_never_what_is_encrypted() -> None:
    ours, theirs = socket.socketpair()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(TLS / "server.pem")
    asking = ssl.create_default_context(cafile=str(TLS / "authority.pem"))
    with ThreadPoolExecutor() as pool, ours, theirs:
        accepting = pool.submit(serving.wrap_socket, theirs, server_side=True)
        reading = asking.wrap_socket(ours, server_hostname="127.0.0.1")
        with accepting.result() as writing, reading:
            writing.sendall(b"an answer")  # it waits in the kernel, encrypted
            break_off(reading)
            assert [reading.recv(100), reading.recv(100)] == [b"an answer", b""]


def test_a_certificate_that_nobody_knows_is_refused_and_says_why(
    api: StandInApi, encrypted: str
) -> None:
    done = agent(encrypted, "1")
    why = "SSLError (unable to get local issuer certificate)"
    assert f"no snapshot from {encrypted}: {why}" in done.stderr
    with pytest.raises(TransportError) as refused:
        Transport(api=encrypted, token="s3cret").post("/v1/assignments", body=b"{}", timeout=60.0)
    # So no registration has to be voided: the api never saw it.
    assert (str(refused.value), refused.value.sent) == (why, False)
    assert not api.requests
