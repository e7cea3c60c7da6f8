"""GET /openapi.json and /docs."""

from collections.abc import Iterable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.web.openapi.document import Limits, document
from server.web.openapi.page import POLICY, page


class OpenApi:
    """Both, rendered once."""

    def __init__(self, routes: Iterable[tuple[str, str]], limits: Limits, *, keys: bool) -> None:
        """`routes`: methods and paths. `keys`: whether clients need one."""
        made = document(routes, limits, keys=keys)
        self._json = msgspec.json.encode(made)
        self._html = page(made)

    async def json(self, request: Request) -> Response:
        """The document."""
        return Response(self._json, media_type="application/json")

    async def html(self, request: Request) -> Response:
        """The page."""
        return Response(self._html, media_type="text/html", headers={"Content-Security-Policy": POLICY})
