"""What the operator sees at start-up."""

import socket

from server.contract.metadata import ModelMetadata
from server.fleet.layout.placement import Decision
from server.process.printable import printable
from server.settings import Settings


def banner(model: ModelMetadata, settings: Settings, listener: int, why: str, decision: Decision) -> str:
    """The start-up block and a command to try. `why`: the reason for the provider."""
    address = f"http://{_authority(listener)}"
    rows = {
        "model": f"{model.name} {model.version} ({model.digest[:12]})",
        "input": "; ".join((", ".join(map(str, model.inputs)), *model.notes)),
        "output": model.answer,
        "provider": f"{model.provider} ({why})",
        "workers": f"{decision.layout} ({decision.why})",
        "promise": f"answered within {settings.slo:g} s, or refused at once",
        "address": address,
    }
    shown = [*rows.items(), *(("warning", text) for text in model.warnings)]
    lines = [f"  {name:<9} {printable(text)}" for name, text in shown]
    return "\n".join(["Tureen is serving", *lines, "", f"  curl --data-binary @photo.jpg {address}/v1/images"])


def _authority(listener: int) -> str:
    with socket.socket(fileno=listener) as sock:
        host, port = sock.getsockname()[:2]
        sock.detach()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
