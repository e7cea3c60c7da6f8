"""Which pages of other origins may ask, and read the answers (CORS, as the Fetch standard has it). Pure."""

from collections.abc import Collection, Sequence
from typing import Final

from server.web.response import RawHeaders

ANY: Final = "*"
_ALLOWED = (
    b"authorization, cache-control, content-type, inference-header-content-length, prefer, priority, x-request-id, "
    b"x-request-timeout-ms"
)
_EXPOSED = (
    b"inference-header-content-length, location, ratelimit, ratelimit-policy, retry-after, server-timing, x-request-id"
)
_MAX_AGE_S: Final = 600


class Cors:
    """The origins that are let in. Cookies are not: a page itself sets the header with its key."""

    def __init__(self, origins: Collection[str]) -> None:
        """`origins`: as browsers send them; `ANY` among them lets in all."""
        self._any = ANY in origins
        self._origins = frozenset(origin.encode() for origin in origins)

    def headers(self, origin: bytes | None) -> RawHeaders:
        """For every response. `origin`: that of the page that asks."""
        if self._any:
            return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED)]
        if not self._origins:
            return []
        vary = (b"vary", b"origin")
        if origin not in self._origins:
            return [vary]
        return [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _EXPOSED), vary]

    def preflight(self, origin: bytes | None, methods: Sequence[str]) -> RawHeaders:
        """For the answer to a browser's question whether it may ask; `headers` come on top."""
        if not (self._any or (origin is not None and origin in self._origins)):
            return []
        return [
            (b"access-control-allow-methods", ", ".join(methods).encode()),
            (b"access-control-allow-headers", _ALLOWED),
            (b"access-control-max-age", b"%d" % _MAX_AGE_S),
        ]


NOBODY: Final = Cors(())
