"""Where the server listens: on sockets that systemd has opened for it, or on its own."""

import socket
from collections.abc import Sequence
from typing import Any

from server.settings import Settings

_BACKLOG = 2048
_Resolved = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


class CannotListen(Exception):
    """An address cannot be listened on."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason


def listening(settings: Settings, passed: Sequence[int] = ()) -> tuple[Settings, list[socket.socket]]:
    """The listening sockets, for clients and (where clients may be strangers) for admin resources.

    `passed` are descriptors of sockets that a service manager has opened, in this order; they replace `host` and `port`
    in the settings. Raises `CannotListen`.
    """
    if passed:
        return _passed(settings, passed)
    return settings, _opened(_addresses(settings))


def reserving(settings: Settings) -> tuple[Settings, list[socket.socket]]:
    """The port for gRPC, if there is to be one, kept by a socket that listens for nothing: gRPC opens its own there.

    Port 0 in the settings becomes the one that was free. Raises `CannotListen`.
    """
    if settings.protocols.grpc_port is None:
        return settings, []
    host, port = settings.host, settings.protocols.grpc_port
    try:
        family, kind, _, _, address = _resolved(host, port)
        reserved = socket.socket(family, kind)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(address)
    except OSError as error:
        raise CannotListen(f"{host}:{port}", error.strerror or str(error)) from error
    protocols = settings.protocols.model_copy(update={"grpc_port": reserved.getsockname()[1]})
    return settings.model_copy(update={"protocols": protocols}), [reserved]


def _addresses(settings: Settings) -> list[tuple[str, int]]:
    clients = (settings.host, settings.port)
    return [clients] if settings.is_local else [clients, (settings.server.admin_host, settings.server.admin_port)]


def _passed(settings: Settings, descriptors: Sequence[int]) -> tuple[Settings, list[socket.socket]]:
    listeners = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    for listener in listeners:
        listener.set_inheritable(False)
    if listeners[0].family not in (socket.AF_INET, socket.AF_INET6):
        raise CannotListen(str(listeners[0].getsockname()), "a socket unit must listen on a TCP port")
    host, port = listeners[0].getsockname()[:2]
    settings = settings.model_copy(update={"host": host, "port": port})
    needed = _addresses(settings)
    return settings, [*listeners[: len(needed)], *_opened(needed[len(listeners) :])]


def _opened(addresses: Sequence[tuple[str, int]]) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    for host, port in addresses:
        try:
            listeners.append(_open(host, port))
        except OSError as error:
            for listener in listeners:
                listener.close()
            raise CannotListen(f"{host}:{port}", error.strerror or str(error)) from error
    return listeners


def _open(host: str, port: int) -> socket.socket:
    """Raises `OSError` (`socket.gaierror` for a name that does not resolve)."""
    family, kind, _, _, address = _resolved(host, port)
    listener = socket.socket(family, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(_BACKLOG)
    return listener


def _resolved(host: str, port: int) -> _Resolved:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
