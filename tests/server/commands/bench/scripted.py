"""A server that does to each request what a script says, in a thread of its own."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager

BODY = b'{"predictions":[{"label":"soup","score":0.9}],"batch":4}'
TIMING = b"Server-Timing: upload;dur=1, queue;dur=5, decode;dur=2.5, infer;dur=10, total;dur=20\r\n"


def answer(status=200, headers=b"", body=BODY):
    """A whole response with its length."""
    return b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n%b" % (status, headers, len(body), body)


OK = answer(headers=TIMING)


class Scripted:
    """`script(number)` gives what to do with the request of that number: bytes to send, or a function of
    (reader, writer). It counts requests and connections, and keeps their bytes."""

    def __init__(self, script: Callable) -> None:
        self.script = script
        self.connections = 0
        self.requests: list[bytes] = []
        self.port = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, started, stop):
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=1 << 24)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connection(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                do = self.script(len(self.requests))
                self.requests.append(head)
                if not isinstance(do, bytes):
                    if await do(reader, writer, length):
                        continue
                    return
                self.requests[-1] += await reader.readexactly(length)
                writer.write(do)
                if b"\r\nConnection: close\r\n" in do:
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


# ---- What a script may do besides answering; true if the connection goes on ----


async def hang(reader, writer, length):
    await reader.read()  # to the end: the client gives up


async def close(reader, writer, length):
    await reader.readexactly(length)


async def half(reader, writer, length):
    await reader.readexactly(length)
    writer.write(OK[:-5])


async def reset(reader, writer, length):
    await reader.readexactly(length)
    linger = struct.pack("ii", 1, 0)  # closing then sends RST
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def to_the_end(reader, writer, length):
    """An answer without a length, which ends with the connection."""
    await reader.readexactly(length)
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + BODY)


async def chunked(reader, writer, length):
    await reader.readexactly(length)
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in (BODY[:7], BODY[7:], b""):
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()
    return True


async def early(reader, writer, length):
    """The answer first, then the rest of the body."""
    writer.write(answer(503))
    await writer.drain()
    await reader.readexactly(length)
    return True


def stall(seconds):
    """Nobody is served for so long, as when a server's loop is blocked."""

    async def stalled(reader, writer, length):
        await reader.readexactly(length)
        time.sleep(seconds)  # noqa: ASYNC251  # that is the point
        writer.write(OK)
        return True

    return stalled


class Paced:
    """A script that answers `count` requests every `seconds`, whatever the machine can do."""

    def __init__(self, count, seconds):
        self._count, self._seconds = count, seconds
        self._first = self._answered = None

    def __call__(self, number):
        return self._in_turn

    async def _in_turn(self, reader, writer, length):
        await reader.readexactly(length)
        now = asyncio.get_running_loop().time()
        if self._first is None or now > self._first + (self._answered // self._count + 20) * self._seconds:
            self._first, self._answered = now, 0  # the first, or the first after a rest
        self._answered += 1
        turn = self._first + self._answered // self._count * self._seconds
        await asyncio.sleep(max(0.0, turn - now))
        writer.write(OK)
        return True


@contextmanager
def scripted(script):
    """A `Scripted`, serving."""
    server = Scripted(script if callable(script) else lambda _: script)
    started, ended = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    def run():
        asyncio.set_event_loop(loop)
        loop.run_until_complete(server.serve(started, ended))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert started.wait(10)
        yield server
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
