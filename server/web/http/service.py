"""What an HTTP server is given to serve with."""

from collections.abc import Callable
from typing import NamedTuple

from starlette.types import ASGIApp

from server.web.http.connections import Connections
from server.web.http.pacing import Pacing
from server.web.http.rules import Rejection


class Service(NamedTuple):
    """One web process, as its connections see it."""

    app: ASGIApp
    reject_early: Callable[[str, bytes], Rejection | None]
    """As `rules.RejectEarly`, told the client's address as well."""
    refuse: Callable[[str, bytes], bytes]
    """The final response on a connection, from the code of a problem and the request's head as far as it has come."""
    connections: Connections
    pacing: Pacing
    keep_alive_s: float
    """Seconds that a connection may be idle."""
    has_proxy_header: Callable[[str], bool] = lambda peer: False
    """Whether connections from this address begin with a header of the PROXY protocol."""
