"""What the operator sees at start-up."""

import socket
from collections.abc import Sequence

from server.contract.metadata import ModelMetadata
from server.fleet.layout.placement import LayoutChoice
from server.process.printable import printable
from server.settings import Settings


def banner(
    model: ModelMetadata,
    settings: Settings,
    listeners: Sequence[int],
    why: str,
    decision: LayoutChoice,
    served: Sequence[str] = (),
) -> str:
    """The start-up block and a command to try. `listeners`: for clients, and for admins if that is another one. `why`:
    the reason for the provider. `served`: everything that is, where `model` is not all."""
    rows = {
        "model": f"{model.name} {model.version} ({model.digest[:12]})",
        **({"models": ", ".join(served)} if len(served) > 1 else {}),
        "input": "; ".join((", ".join(map(str, model.inputs)), *model.notes)),
        "output": model.answer,
        "provider": f"{model.provider} ({why})",
        "workers": f"{decision.layout} ({decision.why})",
        "promise": f"answered within {settings.slo:g} s, or refused at once",
    }
    return _block(rows, settings, listeners, model.warnings)


def forwarding_banner(settings: Settings, listeners: Sequence[int]) -> str:
    """The start-up block of a server without workers."""
    return _block({"workers": "none", "forward": settings.queues.forward}, settings, listeners, ())


def _block(rows: dict[str, str], settings: Settings, listeners: Sequence[int], warnings: Sequence[str]) -> str:
    scheme = "https" if settings.tls.tls_cert else "http"
    address, *admin = (f"{scheme}://{_authority(listener, settings)}" for listener in listeners)
    grpc_port = settings.protocols.grpc_port
    grpc = f"{address.rpartition(':')[0].partition('://')[2]}:{grpc_port}"
    rows |= {
        **({"grpc": grpc} if grpc_port is not None else {}),
        **({"admin": f"{admin[0]}/metrics"} if admin else {}),
        "address": address,
    }
    shown = [*rows.items(), *(("warning", text) for text in warnings)]
    lines = [f"  {name:<9} {printable(text)}" for name, text in shown]
    return "\n".join(["Tureen is serving", *lines, "", f"  curl --data-binary @photo.jpg {address}/v1/images"])


def _authority(listener: int, settings: Settings) -> str:
    """Where others listen for clients, the settings know where."""
    with socket.socket(fileno=listener) as sock:
        named = sock.family == socket.AF_UNIX
        host, port = (settings.host, settings.port) if named else sock.getsockname()[:2]
        sock.detach()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
