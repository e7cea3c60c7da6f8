"""`python -m tests.security.tls_cost`: what TLS costs, measured in pairs: one server in the clear and one with TLS.

Rate and latency are wrk's, with the demo model on loopback; CPU is the web process's own. Handshakes are full ones,
each on a connection of its own. Needs wrk.
"""

import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import trustme

from tests.end_to_end.harness import Server, serving
from tests.photos import photo

_ROUNDS, _SECONDS, _CONNECTIONS = 3, 5, 8
_HANDSHAKES_S, _CLIENTS = 4.0, 4
_SCRIPT = """
wrk.method = "POST"
wrk.headers["Cache-Control"] = "no-store"
local file = io.open("{path}", "rb")
wrk.body = file:read("*a")
"""


def main(image: bytes = photo(1, 320, 240)) -> None:
    """Print a table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "image.jpg").write_bytes(image)
        script = folder / "post.lua"
        script.write_text(_SCRIPT.format(path=folder / "image.jpg"))
        servers = _servers(stack, folder)
        rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ("plain", "ECDSA")}
        for round_ in range(_ROUNDS + 1):
            for name in rows:
                measured = _load(servers[name], script)
                if round_:  # the first one is slower
                    rows[name].append(measured)
        print(f"{'':8} {'images/s':>10} {'p50':>8} {'web CPU per image':>18}")
        for name, measured_ in rows.items():
            rate, p50_ms, cpu_us = (statistics.median(one[at] for one in measured_) for at in range(3))
            print(f"{name:8} {rate:10.0f} {p50_ms:5.2f} ms {cpu_us:15.0f} us")
        for name in ("ECDSA", "RSA 2048"):
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                rate, cpu_us = _handshakes(servers[name], version)
                print(f"{name:8} {version.name}: {rate:6.0f} handshakes/s, {cpu_us:6.0f} us of web CPU each")


def _servers(stack: ExitStack, folder: Path) -> dict[str, Server]:
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    servers = {"plain": stack.enter_context(serving("--workers", "1"))}
    for name, kind in {"ECDSA": trustme.KeyType.ECDSA, "RSA 2048": trustme.KeyType.RSA}.items():
        path = folder / f"{name}.pem"
        authority.issue_cert("localhost", key_type=kind).private_key_and_cert_chain_pem.write_to_path(str(path))
        servers[name] = stack.enter_context(serving("--workers", "1", "--tls-cert", str(path), tls=context))
    return servers


def _load(server: Server, script: Path) -> tuple[float, float, float]:
    """Images per second, median latency in ms, microseconds of the web process per image."""
    scheme = "https" if server.tls else "http"
    command = [
        "wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{_SECONDS}s", "--latency", "-s", str(script),
        f"{scheme}://127.0.0.1:{server.port}/v1/images",
    ]  # fmt: skip
    out: list[str] = []
    cpu_s = _cpu_s(
        server, lambda: out.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    )
    text = out[0]
    count = int(re.search(r"(\d+) requests in", text)[1])  # type: ignore[index]
    if "Non-2xx" in text:
        sys.exit(text)
    p50, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)\b", text).groups()  # type: ignore[union-attr]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])  # type: ignore[index]
    return rate, float(p50) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit], cpu_s / count * 1e6


def _handshakes(server: Server, version: ssl.TLSVersion) -> tuple[float, float]:
    """Per second, and microseconds of the web process for each."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # what the client computes is not measured
    context.minimum_version = context.maximum_version = version
    counts = [0] * _CLIENTS

    def shake(number: int, end: float) -> None:
        while time.monotonic() < end:
            with socket.create_connection((server.host, server.port)) as plain, context.wrap_socket(plain):
                counts[number] += 1

    def work() -> None:
        end = time.monotonic() + _HANDSHAKES_S
        threads = [threading.Thread(target=shake, args=(number, end)) for number in range(_CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    cpu_s = _cpu_s(server, work)
    return sum(counts) / _HANDSHAKES_S, cpu_s / sum(counts) * 1e6


def _cpu_s(server: Server, work: Callable[[], object]) -> float:
    """Seconds of CPU that the web process uses meanwhile."""
    before = server.web.cpu_times()
    work()
    after = server.web.cpu_times()
    return after.user + after.system - before.user - before.system


if __name__ == "__main__":
    main()
