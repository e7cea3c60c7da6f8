"""Sending images: `Client` blocks, `AsyncClient` waits; both decide by `attempts`."""

import time
from collections.abc import Mapping
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Self

import anyio
import httpx

from .attempts import Attempts, RetryBudget
from .errors import Unreachable

Answer = dict[str, Any]
"""The document of an answer: `id`, `predictions`, `timing`, …"""
Image = bytes | str | Path
"""An encoded image, or the path of a file with one."""

_SLACK_S = 1.0  # that the network may take beyond the deadline: the server answers at it
_PATIENCE_S = 600.0  # for an answer without a deadline of the client's own
_RETRIES = 2


class _Request:
    """What both clients share about one request."""

    def __init__(
        self, client: "_Settings", deadline_s: float | None, urgency: int | None, model: str, id_: str
    ) -> None:
        now = time.monotonic()
        self.attempts = Attempts(client.retries, client.budget, None if deadline_s is None else now + deadline_s, now)
        self.method, self.path = ("PUT", f"/v1/images/{id_}") if id_ else ("POST", "/v1/images")
        self.params = {"model": model} if model else {}
        self._urgency = urgency

    def headers(self) -> dict[str, str]:
        """Of the next try. Raises `DeadlineExceeded`."""
        headers = {} if self._urgency is None else {"priority": f"u={self._urgency}"}
        left_s = self.attempts.left_s(time.monotonic())
        if left_s is not None:
            headers["x-request-timeout-ms"] = str(max(1, int(left_s * 1000)))
        return headers

    def timeout(self) -> float:
        """Seconds that the next try may take."""
        left_s = self.attempts.left_s(time.monotonic())
        return _PATIENCE_S if left_s is None else left_s + _SLACK_S

    def answer(self, response: httpx.Response) -> Answer | float:
        """The answer, or the seconds to wait before the next try. Raises the errors of `send`."""
        document = _document(response)
        if response.status_code == 200:
            return document
        retry_after = response.headers.get("retry-after", "")
        return self.attempts.after_response(response.status_code, document, retry_after, time.monotonic())

    def failed(self, error: httpx.TransportError) -> float:
        """The seconds to wait before the next try. Raises the errors of `send`."""
        return self.attempts.after_failure(str(error) or type(error).__name__, time.monotonic())


class _Settings:
    """What both clients are made of."""

    def __init__(self, key: str, retries: int, budget: RetryBudget | None) -> None:
        self.headers: Mapping[str, str] = {"authorization": f"Bearer {key}"} if key else {}
        self.retries = retries
        self.budget = budget or RetryBudget()


class Client:
    """Sends images over connections that it keeps. A context manager; threads may share it."""

    def __init__(self, url: str, *, key: str = "", retries: int = _RETRIES, budget: RetryBudget | None = None) -> None:
        """`retries`: tries after the first; `budget`: of all requests together."""
        self._settings = _Settings(key, retries, budget)
        self._http = httpx.Client(base_url=url, headers=self._settings.headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def send(
        self,
        image: Image,
        *,
        deadline_s: float | None = None,
        urgency: int | None = None,
        model: str = "",
        id: str = "",
    ) -> Answer:
        """The answer to one image.

        `deadline_s`: seconds for all tries together; None: the server's own deadline. `urgency`: 0 (first) to 7. `id`:
        a UUIDv7, under which the image counts once however often it is sent.

        Raises `Refused`, `Failed`, `DeadlineExceeded`, `Unreachable`.
        """
        body = image if isinstance(image, bytes) else Path(image).read_bytes()
        request = _Request(self._settings, deadline_s, urgency, model, id)
        while True:
            try:
                response = self._http.request(
                    request.method, request.path, content=body, headers=request.headers(), params=request.params,
                    timeout=request.timeout(),
                )  # fmt: skip
                outcome = request.answer(response)
            except httpx.TransportError as error:
                outcome = request.failed(error)
            if isinstance(outcome, dict):
                return outcome
            time.sleep(outcome)


class AsyncClient:
    """As `Client`, for event loops: asyncio and trio."""

    def __init__(self, url: str, *, key: str = "", retries: int = _RETRIES, budget: RetryBudget | None = None) -> None:
        """As `Client`."""
        self._settings = _Settings(key, retries, budget)
        self._http = httpx.AsyncClient(base_url=url, headers=self._settings.headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def send(
        self,
        image: Image,
        *,
        deadline_s: float | None = None,
        urgency: int | None = None,
        model: str = "",
        id: str = "",
    ) -> Answer:
        """As `Client.send`. Cancellation: the server takes the image back."""
        body = image if isinstance(image, bytes) else await anyio.Path(image).read_bytes()
        request = _Request(self._settings, deadline_s, urgency, model, id)
        while True:
            try:
                response = await self._http.request(
                    request.method, request.path, content=body, headers=request.headers(), params=request.params,
                    timeout=request.timeout(),
                )  # fmt: skip
                outcome = request.answer(response)
            except httpx.TransportError as error:
                outcome = request.failed(error)
            if isinstance(outcome, dict):
                return outcome
            await anyio.sleep(outcome)


def _document(response: httpx.Response) -> Answer:
    """Raises `Unreachable` for what no Tureen server says."""
    try:
        document = response.json()
    except (JSONDecodeError, UnicodeDecodeError):
        document = None
    if isinstance(document, dict):
        return document
    if response.status_code in (429, 502, 503, 504):  # a proxy's own
        return {"title": response.reason_phrase}
    raise Unreachable(f"{response.status_code} without an answer: is this a Tureen server?")
