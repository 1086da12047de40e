"""Questions to the api from Python: which policy, how a canary stands, what a run scored."""

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from learnops.client.policy import Policy
from learnops.client.settings import Options, Settings

if TYPE_CHECKING:
    from learnops.client.transport import Transport


class ReaderError(Exception):
    """The api was away or refused; `status` is the HTTP status, None where no answer came."""

    def __init__(self, message: str, *, status: int | None) -> None:
        super().__init__(message)
        self.status = status


class Reader:
    """Reads from the api for people and programs; unlike a Learner it raises. Thread-safe.

    Its account needs the verb `read` on the doers it asks about, and `route` for `active_policy`.
    """

    def __init__(
        self,
        *,
        api: str | None = None,
        token: str | None = None,
        token_file: str | None = None,
        namespace: str | None = None,
        seconds: float = 30.0,
    ) -> None:
        """Set up; nothing is asked yet. Arguments left out are found as a Learner finds them.

        Args:
            api: base URL of the api.
            token: bearer token.
            token_file: a file with the token.
            namespace: where the doers live.
            seconds: the longest a question may take.

        Raises:
            ValueError: an argument is missing or malformed.
        """
        self._settings = Settings.resolve(
            doer="any",  # each question names its own
            api=api,
            token=token,
            token_file=token_file,
            namespace=namespace,
            serving=None,
            options=Options(),
        )
        self._seconds = seconds
        self._transport = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def active_policy(self, doer: str) -> Policy:
        """The policy that is control of a doer's runs, with its content. Raises ReaderError."""
        snapshot = self._ask("/v1/snapshot", doer=doer)
        name = str(snapshot["active"])
        return Policy.from_wire(name, snapshot["policies"][name])

    def canary_report(self, canary: str) -> dict[str, Any]:
        """The answer of `GET /v1/canaries/{name}`; its `recommendation` is promote, rollback,
        futile, continue, hold, or None before the first look. Raises ReaderError."""
        return self._ask(f"/v1/canaries/{quote(canary, safe='')}")

    def run(self, run_id: str) -> dict[str, Any]:
        """The answer of `GET /v1/runs/{runId}`: `loss` (0 to 1), `crl` (loss times the sum of the
        weights), `terms`, `weights`, `contributions`, `missing`, `reward`. Raises ReaderError."""
        return self._ask(f"/v1/runs/{quote(run_id, safe='')}")

    def close(self) -> None:
        """Break off what is asked and refuse what comes; idempotent."""
        self._transport.close()

    def _ask(self, path: str, **query: str) -> dict[str, Any]:
        from learnops.client.answer import TransportError

        query = {"namespace": self._settings.namespace, **query}
        try:
            answer = self._transport.get(path, query=query, timeout=self._seconds)
        except TransportError as error:
            told = f"no answer of the api: {error}; is it at {self._settings.api}, and running?"
            raise ReaderError(told, status=None) from error
        if answer.status != 200 or not isinstance(answer.body, dict):
            raise ReaderError(f"the api refused it: {answer.detail}", status=answer.status)
        return answer.body

    def _connect(self) -> "Transport":
        from learnops.client.transport import Transport  # the SDK's import must stay quick

        settings = self._settings
        return Transport(api=settings.api, token=settings.token, token_file=settings.token_file)
