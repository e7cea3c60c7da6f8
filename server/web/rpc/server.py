"""The gRPC server: on the event loop of the web process, on a port of its own."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import anyio
import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from server.process.file_watch import watch
from server.settings import Settings, TlsSettings
from server.web.client import TrustedProxies
from server.web.gate import Gate
from server.web.metrics import Metrics
from server.web.observer import Observer
from server.web.oip.infer import Inferrer
from server.web.oip.repository import Repository
from server.web.rpc.errors import RpcFailed
from server.web.rpc.health import SERVICE, Health
from server.web.rpc.reading import Reading
from server.web.rpc.service import Service
from server.web.runtime import Runtime

_METADATA_BYTES = 16 * 1024
_STREAMS = 256  # calls at a time on one connection
_MOST_CALLS = 2048  # at a time on all of them
_PING_S = 10.0  # that a client must leave between its pings
_SERVICES: Final = (
    SERVICE, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME,
)  # fmt: skip


class RpcServer:
    """Its state: the server, and the certificate for new connections."""

    def __init__(self, settings: Settings, service: Service, runtime: Runtime, max_bytes: int) -> None:
        """`max_bytes`: of one message. Raises `RpcFailed` where the port is taken."""
        self._server = grpc.aio.server(options=_options(settings, max_bytes), maximum_concurrent_rpcs=_MOST_CALLS)
        self._server.add_generic_rpc_handlers((service.handlers(),))
        health_pb2_grpc.add_HealthServicer_to_server(Health(runtime), self._server)
        reflection.enable_server_reflection(_SERVICES, self._server)
        self._tls = settings.tls
        self._certificate = _certificate(settings.tls) if settings.tls.tls_cert else None
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        try:
            self.port = self._listen(f"{host}:{settings.protocols.grpc_port}")
        except RuntimeError as error:
            raise RpcFailed(f"--grpc-port {settings.protocols.grpc_port}: cannot listen on {host}") from error

    async def start(self) -> None:
        """Serve from now on."""
        await self._server.start()

    async def stop(self, within_s: float) -> None:
        """Take no new calls; answer those under way, and cancel what is left of them after `within_s`."""
        await self._server.stop(within_s)

    def reload(self) -> None:
        """Take over what the certificate's files hold now."""
        try:
            self._certificate = _certificate(self._tls)
        except OSError:  # the HTTP side says so
            pass

    def _listen(self, address: str) -> int:
        if self._certificate is None:
            return int(self._server.add_insecure_port(address))
        wanted = self._tls.tls_client_ca is not None
        credentials = grpc.dynamic_ssl_server_credentials(self._certificate, lambda: self._certificate, wanted)
        return int(self._server.add_secure_port(address, credentials))


async def serve(
    settings: Settings,
    runtime: Runtime,
    gate: Gate,
    proxies: TrustedProxies,
    observer: Observer[Metrics],
    max_bytes: int,
    stop: Callable[[], Awaitable[object]],
    repository: Repository | None = None,
) -> None:
    """Serve until `stop` returns, then answer what is under way. `max_bytes`: of one message. Raises `RpcFailed`."""
    reading = Reading(runtime.engine.max_bytes // max_bytes, settings.upload.upload_timeout)
    inferrer = Inferrer(runtime, gate, observer.metrics)
    service = Service(runtime, gate, proxies, observer, inferrer, reading, repository)
    server = RpcServer(settings, service, runtime, max_bytes)
    async with anyio.create_task_group() as tasks:
        if settings.tls.tls_cert:
            paths = [path for path in (settings.tls.tls_cert, settings.tls.tls_key, settings.tls.tls_client_ca) if path]
            tasks.start_soon(watch, paths, server.reload)
        await server.start()
        await stop()
        await server.stop(max(0.0, settings.server.shutdown_timeout - runtime.draining_s))
        tasks.cancel_scope.cancel()


def _options(settings: Settings, max_bytes: int) -> Sequence[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", max_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", _METADATA_BYTES),
        ("grpc.max_concurrent_streams", _STREAMS),
        ("grpc.max_connection_idle_ms", round(settings.server.keep_alive * 1000)),
        ("grpc.http2.min_ping_interval_without_data_ms", round(_PING_S * 1000)),
        ("grpc.so_reuseport", 1),  # the supervisor holds the port while a web process is replaced
    ]


def _certificate(tls: TlsSettings) -> Any:  # noqa: ANN401 - gRPC has no types
    """Raises `OSError`."""
    assert tls.tls_cert
    chain = tls.tls_cert.read_bytes()
    key = _key(tls.tls_key, chain)
    authorities = tls.tls_client_ca.read_bytes() if tls.tls_client_ca else None
    return grpc.ssl_server_certificate_configuration([(key, chain)], authorities)


def _key(path: Path | None, chain: bytes) -> bytes:
    return path.read_bytes() if path else chain
