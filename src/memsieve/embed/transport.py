"""One JSON request to an endpoint, repeated while repeating may help."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memsieve.errors import EndpointError, MissingExtraError, ParameterError

if TYPE_CHECKING:
    import httpx

_LOG = logging.getLogger(__name__)
_WORTH_ANOTHER_TRY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
LONGEST_WAIT_S = 60.0  # an endpoint that asks for more is reported instead of waited for
SHOWN_CHARACTERS = 200  # of an error's body: enough for the reason, no page of HTML


@dataclass(frozen=True, slots=True)
class Transport:
    """How long to wait for an endpoint and how often to ask again.

    Time-outs, broken connections and the answers 408, 409, 425, 429 and 5xx are tried again
    after what `Retry-After` says, else after `backoff_s` * 2**n seconds, 60 at most. Every
    other answer is an error at once.

    Parameters
    ----------
    timeout_s
        For each try: to connect, and between two pieces of the answer.
    max_retries
        Further tries after the first; 5 with the default wait span 16 seconds, which is
        longer than the usual rate limiter's window slice.
    backoff_s
        The first wait.
    proxy
        URL of an HTTP proxy. The environment is not read.

    Raises
    ------
    ParameterError
        If a number is outside its range.
    """

    timeout_s: float = 60.0
    max_retries: int = 5
    backoff_s: float = 0.5
    proxy: str | None = None

    def __post_init__(self) -> None:
        if not self.timeout_s > 0:
            raise ParameterError(f"Transport.timeout_s must be > 0, got {self.timeout_s!r}")
        if self.max_retries < 0:
            raise ParameterError(f"Transport.max_retries must be >= 0, got {self.max_retries!r}")
        if not self.backoff_s >= 0:
            raise ParameterError(f"Transport.backoff_s must be >= 0, got {self.backoff_s!r}")

    def connect(self) -> httpx.Client:
        """A client whose connections serve many requests; the caller closes it.

        Raises
        ------
        MissingExtraError
            If httpx is not installed.
        """
        try:
            import httpx
        except ImportError as error:
            raise MissingExtraError.of("an endpoint", "http") from error
        return httpx.Client(timeout=self.timeout_s, proxy=self.proxy, trust_env=False)

    def post(self, client: httpx.Client, url: str, body: dict[str, Any], key: str | None) -> Any:
        """Send `body` as JSON, with `key` as bearer token, and return the decoded answer.

        Raises
        ------
        EndpointError
            If no try brought a good answer; the text never holds the key.
        """
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        tries = 0
        while True:
            tries += 1
            outcome = self._try(client, url, body, headers)
            if not isinstance(outcome, _Failure):
                return outcome
            wait_s = outcome.asked_wait_s
            if wait_s is None:
                wait_s = min(self.backoff_s * 2 ** (tries - 1), LONGEST_WAIT_S)
            if not outcome.passing or tries > self.max_retries or wait_s > LONGEST_WAIT_S:
                text = f"{outcome.what} (try {tries}): {outcome.way_out}"
                raise EndpointError(text.replace(key, "***") if key else text)
            _LOG.warning("endpoint %s failed on try %d, next in %.1f s", url, tries, wait_s)
            time.sleep(wait_s)

    def _try(
        self, client: httpx.Client, url: str, body: dict[str, Any], headers: dict[str, str]
    ) -> Any:
        import httpx

        try:
            answer = client.post(url, json=body, headers=headers)
        except httpx.TimeoutException:
            what = f"endpoint {url} did not answer within {self.timeout_s:g} s"
            return _Failure(what, "raise timeout_s or send fewer texts at once", passing=True)
        except httpx.TransportError as error:
            what = f"endpoint {url} cannot be reached: {error}"
            return _Failure(what, "check the address and that the server runs", passing=True)
        except httpx.RequestError as error:  # such as a body that is not what its header says
            what = f"endpoint {url} gave an answer that cannot be read: {error}"
            return _Failure(what, "check the address and what lies between", passing=False)
        if answer.status_code != httpx.codes.OK:
            return _Failure.of(answer, url)
        try:
            return answer.json()
        except ValueError:
            shown = answer.text[:SHOWN_CHARACTERS]
            what = f"endpoint {url} answered something else than JSON: {shown!r}"
            return _Failure(what, "check the address", passing=False)


@dataclass(frozen=True, slots=True)
class _Failure:
    """A try that failed: what happened, what a user can do, whether it may pass by itself."""

    what: str
    way_out: str
    passing: bool
    asked_wait_s: float | None = None

    @classmethod
    def of(cls, answer: httpx.Response, url: str) -> _Failure:
        status = answer.status_code
        shown = " ".join(answer.text.split())[:SHOWN_CHARACTERS]
        way_out = {
            401: "pass a valid api_key",
            403: "pass an api_key that may use this model",
            404: "check the address and the model's name",
            429: "wait, or raise the endpoint's rate limit",
        }.get(status, "see what the endpoint says")
        return cls(
            f"endpoint {url} answered {status}: {shown}",
            way_out,
            status in _WORTH_ANOTHER_TRY,
            _seconds(answer.headers.get("Retry-After")),
        )


def _seconds(retry_after: str | None) -> float | None:
    """The header's seconds; None for none and for its date form, where back-off serves."""
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None
