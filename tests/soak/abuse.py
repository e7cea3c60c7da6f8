"""Hundreds of requests made to leave something behind: what the web process holds afterwards."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from tests.end_to_end.harness import Client, Server, serving
from tests.history.footprint import look, settled
from tests.photos import photo
from tests.soak.phase import Findings, Job
from tests.soak.servers import rested
from tests.soak.servers import run as run_loop

_LIMIT = 1_000_000  # bytes of an image
_WARM, _WAVES, _EACH = 2, 3, 100
_MOST_MIB = 1.0
_AT_ONCE = 10
_LINE = b"POST /v1/images HTTP/1.1\r\nhost: test\r\n"


def run(job: Job) -> Findings:
    found = Findings()
    flags = ("--workers", "1", "--max-image-bytes", "1MB", "--upload-timeout", "5s")
    with serving(*flags) as server:
        before = look(server)
        for number, (name, abuse) in enumerate(ABUSES.items()):
            raw = run_loop(_waves(job, server, name, abuse, number / len(ABUSES)))
            found.at_most(f"{name}: growth per 100 requests", raw["mib_each"], _MOST_MIB, "MiB", 2)
            found.figure(f"{name}: answers", ", ".join(f"{k}: {n:,}" for k, n in sorted(raw["answers"].items())))
            found.raw[name] = raw
        found.clean("left behind after 10 s", settled(server, before))
        found.none("processes replaced", int(look(server).web.pid != before.web.pid))
    found.none("unexpected exceptions in the log", server.final_log.count("Traceback"))
    if "Traceback" in server.final_log:
        found.notes.append(server.final_log[-4000:])
    return found


async def _waves(job: Job, server: Server, name: str, abuse: "Abuse", done: float) -> dict:
    """Memory after each wave of a hundred; the first ones fill what every process keeps."""
    answers: Counter[str] = Counter()
    sizes = []
    waves = _WARM + job.count(_WAVES, 3)
    for wave in range(waves):
        for _ in range(_EACH // _AT_ONCE):
            answers.update(await asyncio.gather(*(_one(server, abuse) for _ in range(_AT_ONCE))))
            job.say(name, done + wave / waves / len(ABUSES))
        await rested(server)
        sizes.append(server.web.memory_info().rss)
    grown = (sizes[-1] - sizes[_WARM - 1]) / (waves - _WARM)
    return {"sizes": sizes, "mib_each": grown / 2**20, "answers": dict(answers)}


async def _one(server: Server, abuse: "Abuse") -> str:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    client = Client(reader, writer)
    try:
        async with asyncio.timeout(30):
            await abuse(client)
            await writer.drain()
            return str((await client.read()).status)
    except (OSError, EOFError, RuntimeError) as error:
        return type(error).__name__
    finally:
        writer.transport.abort()


Abuse = Callable[[Client], Awaitable[None]]


async def _refused_by_its_head(client: Client) -> None:
    """Answered while a body of a megabyte is on its way."""
    client.writer.write(_LINE + b"x-request-timeout-ms: never\r\ncontent-length: 900000\r\n\r\n" + bytes(900_000))


async def _declared_too_large(client: Client) -> None:
    client.writer.write(_LINE + b"content-length: %d\r\n\r\n" % (2 * _LIMIT) + bytes(100_000))


async def _chunked_too_large(client: Client) -> None:
    client.writer.write(_LINE + b"transfer-encoding: chunked\r\n\r\n")
    chunk = b"%x\r\n" % 100_000 + bytes(100_000) + b"\r\n"
    for _ in range(2 * _LIMIT // 100_000):
        client.writer.write(chunk)
        await client.writer.drain()


async def _chunks_of_one_byte(client: Client) -> None:
    image = photo(1)
    client.writer.write(_LINE + b"transfer-encoding: chunked\r\n\r\n")
    client.writer.write(b"".join(b"1\r\n%c\r\n" % byte for byte in image) + b"0\r\n\r\n")


async def _garbage_form(client: Client) -> None:
    body = b"--b\r\nno header at all\r\n" + bytes(range(256)) * 200
    client.writer.write(_LINE + b"content-type: multipart/form-data; boundary=b\r\n")
    client.writer.write(b"content-length: %d\r\n\r\n" % len(body) + body)


async def _gone_in_the_middle(client: Client) -> None:
    client.writer.write(_LINE + b"content-length: 900000\r\n\r\n" + bytes(300_000))
    await client.writer.drain()
    client.writer.transport.abort()


async def _never_reads(client: Client) -> None:
    """Fifty good requests in one go; the answers pile up unread until it leaves."""
    image = photo(2)
    request = _LINE + b"content-length: %d\r\n\r\n" % len(image) + image
    client.writer.write(request * 50)
    await client.writer.drain()


ABUSES: dict[str, Abuse] = {
    "answered before its body": _refused_by_its_head,
    "declared too large": _declared_too_large,
    "chunked, too large": _chunked_too_large,
    "chunks of one byte": _chunks_of_one_byte,
    "garbage for a form": _garbage_form,
    "gone in the middle": _gone_in_the_middle,
    "fifty requests at once, one answer read": _never_reads,
}
