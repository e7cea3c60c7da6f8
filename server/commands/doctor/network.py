"""What is listened on and talked to: ports, Redis, queues, S3, the trace collector."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from server.commands.doctor.findings import Finding
from server.settings import Settings

_TIMEOUT_S = 2.0
_PORTS = {"redis": 6379, "rediss": 6379, "http": 80, "https": 443, "grpc": 4317, "grpcs": 4317, "kafka": 9092}


def check(settings: Settings) -> Iterator[Finding]:
    """What cannot be listened on, and what does not answer."""
    addresses = [("port", settings.host, settings.port)]
    if not settings.is_local:
        addresses.append(("admin_port", settings.server.admin_host, settings.server.admin_port))
    for name, host, port in addresses:
        yield from _listening(name, host, port)
    queues = settings.queues
    for name, url in (
        ("cache", settings.cache.redis_url), ("queue", queues.sqs_endpoint or queues.consume),
        ("queue", queues.sqs_endpoint or queues.forward), ("store", settings.storage.s3_endpoint),
        ("traces", settings.telemetry.otlp_endpoint or ""),
    ):  # fmt: skip
        if url:
            yield from _answering(name, url)
    server = settings.server
    if server.drain_delay >= server.shutdown_timeout:
        yield Finding(
            "shutdown", f"drain_delay ({server.drain_delay:g} s) leaves nothing of shutdown_timeout "
            f"({server.shutdown_timeout:g} s): accepted images are lost",
            "raise shutdown_timeout, or lower drain_delay",
        )  # fmt: skip


def _listening(name: str, host: str, port: int) -> Iterator[Finding]:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        advice = f"stop who listens there, or choose another --{name.replace('_', '-')}"
        yield Finding("port", f"{host}:{port} cannot be listened on: {error.strerror or error}", advice)


def _answering(name: str, url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    try:
        if parts.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(_TIMEOUT_S)
                probe.connect(parts.path)
            return
        port = parts.port or (4318 if name == "traces" and parts.scheme == "http" else _PORTS.get(parts.scheme, 443))
        with socket.create_connection((parts.hostname or "", port), _TIMEOUT_S):
            return
    except OSError as error:
        where = parts.hostname or parts.path
        yield Finding(name, f"{where} does not answer: {error.strerror or error}", "start it, or correct the address")
