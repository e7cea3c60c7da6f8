"""What an HTTP server is given to serve with."""

from collections.abc import Callable
from typing import NamedTuple

from starlette.types import ASGIApp

from server.web.http.connections import Connections
from server.web.http.pacing import Pacing
from server.web.http.rules import RejectEarly


class Service(NamedTuple):
    """One web process, as its connections see it."""

    app: ASGIApp
    reject_early: RejectEarly
    refuse: Callable[[str, bytes], bytes]
    """The final response on a connection, from the code of a problem and the request's head as far as it has come."""
    connections: Connections
    pacing: Pacing
    keep_alive_s: float
    """Seconds that a connection may be idle."""
