"""Thirty thousand keys, and as many addresses, some with an image: what the web process keeps of them.

Most send what is no image, which costs no inference and is limited all the same.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from server.access.key_file import KeyFile, KeyRecord
from server.access.secret import digest
from tests.end_to_end.harness import Client, Server, serving
from tests.photos import photo
from tests.security.keys import bearer
from tests.soak.phase import Findings, Job
from tests.soak.servers import run as run_loop

COUNT = 10_000
_WAVES = 3  # as many clients in each. 20,000 are remembered: the last wave is all new, and must cost nothing
_AT_ONCE = 16
_IMAGE_EVERY = 20
_MOST_MIB = 4.0  # by which the last wave may grow it
_ADMIN = "tureen_admin"


def run(job: Job) -> Findings:
    found = Findings()
    count = job.count(COUNT, 50)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys.json"
        _write_keys(path, _WAVES * count)
        for kind, flags in {"keys": ("--keys", str(path)), "addresses": ()}.items():
            limits = ("--workers", "1", "--cache", "off", "--client-rate", "0.001", "--client-burst", "1")
            with serving(*limits, *flags, admin=_ADMIN if flags else "") as server:
                raw = run_loop(server.closing(_measure(job, server, kind, count)))
            _judge(found, kind, count, raw)
    return found


def _judge(found: Findings, kind: str, count: int, raw: dict) -> None:
    sizes = raw["mib"]
    found.figure(f"{kind}: memory after each {count:,}", ", ".join(f"{size:,.0f} MiB" for size in sizes))
    found.at_most(f"{kind}: growth with the last {count:,} new ones", sizes[-1] - sizes[-2], _MOST_MIB, "MiB")
    statuses = raw["statuses"]
    for what, given in (("let in once each", statuses[200] + statuses[415]), ("and then 429", statuses[429])):
        expected = _WAVES * count
        found.holds(f"{kind}: {what}", f"{given:,}", f"{expected:,}", given == expected)
    found.figure(f"{kind}: answers", ", ".join(f"{n:,} x {status}" for status, n in sorted(statuses.items())))
    found.raw[kind] = {"mib": sizes, "statuses": dict(statuses)}


async def _measure(job: Job, server: Server, kind: str, count: int) -> dict:
    """Memory after each wave of new clients, each of which asks twice."""
    statuses: Counter[int] = Counter()
    sizes = []
    for wave in range(_WAVES):
        numbers = iter(range(wave * count, (wave + 1) * count))

        async def work(numbers=numbers) -> None:
            for number in numbers:
                statuses.update(await _twice(server, kind, number))
                if number % 100 == 0:
                    job.say(f"{kind}: {number:,}", 0.5 * (kind == "addresses") + 0.5 * number / (_WAVES * count))

        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
        sizes.append(server.web.memory_info().rss / 2**20)
    return {"mib": sizes, "statuses": statuses}


async def _twice(server: Server, kind: str, number: int) -> list[int]:
    source = (_address(number) if kind == "addresses" else "127.0.0.1", 0)
    client = Client(*await asyncio.open_connection(server.host, server.port, local_addr=source))
    headers = {"cache_control": "max-age=60", "x_request_timeout_ms": "20000"}  # so that only its rate refuses one
    if kind == "keys":
        headers |= bearer(_secret(number))
    try:
        body = b"no image" if number % _IMAGE_EVERY else _IMAGE
        return [(await client.post(body, **headers)).status for _ in range(2)]
    finally:
        client.writer.transport.abort()


def _address(number: int) -> str:
    """One of 127/8, as Linux has them all."""
    return f"127.{1 + number // 62_500}.{number // 250 % 250}.{1 + number % 250}"


def _secret(number: int) -> str:
    return f"tureen_{number}"


def _write_keys(path: Path, count: int) -> None:
    """Write the file at once: `tureen keys` writes it anew for each."""
    now = datetime.now(UTC)
    record: Callable[[str, str, tuple[str, ...]], KeyRecord] = lambda name, secret, scopes: KeyRecord(  # noqa: E731
        name=name, hash=digest(secret.encode()).hex(), scopes=scopes, created=now
    )
    keys = [record("admin", _ADMIN, ("admin",))]
    keys += [record(f"k{number}", _secret(number), ("infer",)) for number in range(count)]
    path.write_bytes(msgspec.json.encode(KeyFile(tuple(keys))))
    path.chmod(0o600)


_IMAGE = photo(1)
