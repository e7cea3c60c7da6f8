"""What ASGI cannot do: hypercorn's settings, and where we reach into it.

pyproject.toml pins hypercorn exactly; a test fails when what is reached into has changed.
"""

from typing import Any

from hypercorn.config import Config
from hypercorn.protocol.h11 import H11Protocol

_HEADER_BYTES = 16 * 1024
_BACKLOG = 2048
_NO_CAP = 1 << 62


def hypercorn_config(listener: int, keep_alive_s: float, graceful_s: float) -> Config:
    """Hypercorn on an inherited listening socket, HTTP/1.1 only."""
    config = Config()
    config.bind = [f"fd://{listener}"]
    config.alpn_protocols = ["http/1.1"]
    config.backlog = _BACKLOG
    config.h11_max_incomplete_size = _HEADER_BYTES
    config.keep_alive_timeout = keep_alive_s  # longer than the load balancer's, or it meets closed connections
    config.keep_alive_max_requests = _NO_CAP  # a closed connection now and then is a lost request now and then
    config.graceful_timeout = graceful_s
    config.include_server_header = False
    config.loglevel = "WARNING"
    return config


def refuse_http2() -> None:
    """No upgrade to h2c and no HTTP/2 preface on a plain port: both smuggle requests past a proxy."""
    H11Protocol._check_protocol = _only_http1  # type: ignore[method-assign]


async def _only_http1(self: H11Protocol, event: Any) -> None:  # noqa: ANN401 - h11's event
    return None
