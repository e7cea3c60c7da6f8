"""Clients that write down what they do. Each `Recorder` is one client with one connection at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from tests.end_to_end.harness import Client
from tests.history.operations import History, Operation

HANG_S = 60.0  # no answer by then counts as none ever
_GONE = (OSError, EOFError, RuntimeError, ValueError)  # what asyncio, uvloop and our reading say of a lost connection

Connect = Callable[[], Awaitable[Client]]


class Recorder:
    """Sends uploads, each an operation of `history`. `slo_s`: the server's promise, counted from the last byte.
    `credentials`: headers of every upload."""

    def __init__(
        self, history: History, connect: Connect, slo_s: float, credentials: Mapping[str, str] | None = None
    ) -> None:
        self._history = history
        self._connect = connect
        self._slo_s = slo_s
        self._credentials = credentials or {}
        self._client: Client | None = None
        self._last: Operation | None = None

    async def open(self) -> None:
        """Connect now, so that no operation has to. Raises `OSError`."""
        self._client = await self._connect()

    async def post(self, picture: int, body: bytes, kind: str = "good", timeout_ms: int | None = None, **headers):
        """One upload and its answer; `timeout_ms`: a deadline of its own, which counts from now. The operation."""
        if timeout_ms is not None:
            headers["x_request_timeout_ms"] = str(timeout_ms)
        operation = self._begin(picture, body, kind, timeout_ms)

        async def act(client: Client) -> None:
            if timeout_ms is not None:
                operation.due = time.monotonic() + timeout_ms / 1000  # connecting took some time
            await client.send("POST", "/v1/images", body, **self._credentials, **headers)
            await self._read(operation, client)

        return await self._carry_out(operation, act)

    async def trickle(self, picture: int, body: bytes, pieces: int, pause_s: float):
        """One upload in pieces with a pause before each. The operation."""
        operation = self._begin(picture, body, "slow")

        async def act(client: Client) -> None:
            await self._head(client, len(body))
            size = -(-len(body) // pieces)
            for at in range(0, len(body), size):
                await asyncio.sleep(pause_s)  # sets the rate; nothing waits for it
                client.writer.write(body[at : at + size])
                await client.writer.drain()
            await self._read(operation, client)

        return await self._carry_out(operation, act)

    async def leave(self, picture: int, body: bytes, share: float, after_s: float):
        """Sends this share of an upload and closes its connection a little later. The operation."""
        operation = self._begin(picture, body, "leaving" if share == 1 else "cut short")

        async def act(client: Client) -> None:
            await self._head(client, len(body))
            client.writer.write(body[: round(len(body) * share)])
            await asyncio.sleep(after_s)  # sets the rate; nothing waits for it
            operation.left()
            self._drop()

        return await self._carry_out(operation, act)

    async def finish(self) -> None:
        """Close the connection; an answer too many, still in it, becomes a second ending of the last operation."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(HANG_S):
                await client.send("GET", "/healthz", connection="close")
                reply = await client.read()
                if b"alive" not in reply.body and self._last:
                    self._last.answered(reply)
        except _GONE:
            pass  # the server had closed it before
        client.writer.transport.abort()

    def _begin(self, picture: int, body: bytes, kind: str, timeout_ms: int | None = None) -> Operation:
        self._last = self._history.begin(picture, body, timeout_ms and timeout_ms / 1000, kind)
        return self._last

    async def _carry_out(self, operation: Operation, act: Callable[[Client], Awaitable[None]]) -> Operation:
        """`act` on a connection; whatever ends that early is the operation's ending."""
        try:
            async with asyncio.timeout(HANG_S):
                if self._client is None or _is_over(self._client):
                    self._client = await self._connect()
                await act(self._client)
        except _GONE as error:
            operation.lost(repr(error))
            self._drop()
        return operation

    async def _head(self, client: Client, size: int) -> None:
        fields = {"host": "test", "content-length": str(size), **self._credentials}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        client.writer.write(f"POST /v1/images HTTP/1.1\r\n{lines}\r\n".encode())
        await client.writer.drain()

    async def _read(self, operation: Operation, client: Client) -> None:
        if operation.due is None:
            self._promise(operation)
        reply = await client.read()
        operation.answered(reply)
        if reply.headers.get("connection") == "close":
            self._drop()

    def _promise(self, operation: Operation) -> None:
        operation.due = time.monotonic() + self._slo_s

    def _drop(self) -> None:
        if self._client:
            self._client.writer.transport.abort()
            self._client = None


def _is_over(client: Client) -> bool:
    """Whether the server has closed the connection while nothing was under way: every client looks before it sends."""
    return client.writer.is_closing() or client.reader.at_eof() or client.reader.exception() is not None
