"""The ASGI application: uploads go straight to their handler, everything else by starlette's routes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Scope

from server.engine.models import Models
from server.web.audit import audit_request
from server.web.client import TrustedProxies
from server.web.early_reject import EarlyReject
from server.web.exchange import Exchange
from server.web.forwarding import Forwarding
from server.web.gate import Gate
from server.web.health import Health
from server.web.http.pacing import Pacing
from server.web.images import Images
from server.web.keeping import Keeping
from server.web.models import ModelsAdmin
from server.web.observer import Observer
from server.web.outcomes import PATH, Outcomes
from server.web.page.resources import Page, as_page, wants_page
from server.web.paths import FORM, takes_images
from server.web.records import Records
from server.web.refusals import Refusals
from server.web.request import Request
from server.web.rollouts import BODY
from server.web.runtime import Runtime
from server.web.side_share import SideShare
from server.web.small_body import read_small
from server.web.uploads import Uploads
from server.web.watch import Watch


class Application(NamedTuple):
    """What answers requests, and what refuses those that never reach it."""

    asgi: ASGIApp
    early_reject: EarlyReject
    refusals: Refusals
    pacing: Pacing


def build_app(
    runtime: Runtime,
    gate: Gate,
    observer: Observer,
    uploads: Uploads,
    proxies: TrustedProxies,
    keeping: Keeping | None = None,
    *,
    models: Models | None = None,
    more: Sequence[Route] = (),
    open_records: bool = False,
    watch: Watch | None = None,
    forwards: bool = False,
    clients: bool = True,
    admin: bool = True,
) -> Application:
    """One application for one listening socket: with the resources for clients, those for admins, or both.

    `models`: the repository, if there is one; `more`: further resources for admins. `keeping`: None where nothing is
    kept. `open_records`: they can be read back, others' where there are resources for admins. `forwards`: images are
    kept to be answered elsewhere. `watch`: for admins.
    """
    metrics = observer.metrics
    images: Images | Forwarding | None = None
    if clients and forwards and keeping:
        images = Forwarding(runtime, uploads.limits.max_bytes, keeping.spool)
    elif clients:
        images = Images(runtime, metrics, uploads.limits.max_bytes, keeping, observer.tracer)
    records = Records(runtime, keeping, others=admin) if keeping and open_records else None
    changes = [*more, *(ModelsAdmin(models).routes() if models else ())] if admin else []
    outcomes = Outcomes(keeping) if clients and keeping else None
    watch = watch if admin else None
    page = Page(clients=clients and not forwards, admin=watch is not None, records=records is not None)
    resources = Resources(images, Health(runtime, metrics, admin), records, admin, page, watch, changes, outcomes)
    refusals = Refusals(metrics, observer.access_log)
    early_reject = EarlyReject(runtime, gate, proxies, refusals, uploads.limits.max_bytes)
    exchange = Exchange(resources, gate, runtime, observer, uploads, early_reject.arm, proxies)
    pacing = Pacing(proxies, early_reject.room, metrics.refusal_delay.observe, asyncio.get_running_loop())
    return Application(exchange, early_reject, refusals, pacing)


_HEALTH = ("/healthz", "/readyz")  # a flood of anything else shall not delay what a load balancer asks

Endpoint = Callable[[StarletteRequest], Awaitable[Response]]


class Resources:
    """Finds the handler of a request and returns its response, whole or streamed."""

    def __init__(
        self,
        images: Images | Forwarding | None,
        health: Health,
        records: Records | None,
        admin: bool,
        page: Page,
        watch: Watch | None = None,
        changes: Sequence[Route] = (),
        outcomes: Outcomes | None = None,
    ) -> None:
        """`changes`: resources of operators that may take long, and so wait for no share of the loop."""
        self._images = images
        self._page = page
        self._changes = bool(changes)
        self._outcomes = outcomes
        self._health_share, self._side_share = SideShare(), SideShare()
        self._routes = [Route("/healthz", health.alive), Route("/readyz", health.ready)]
        if records:
            self._routes += [
                Route("/v1/images", records.same, methods=["GET", "POST"] if images else ["GET"]),
                Route("/v1/images/{id}", records.one, methods=["GET", "DELETE"]),
                Route("/v1/images/{id}/original", records.original),
            ]
        elif images:
            self._routes.append(Route("/v1/images", _by_post_only, methods=["POST"]))
        self._routes += changes
        if images:
            self._routes.append(Route(FORM, _by_post_only, methods=["POST"]))
        self._routes += [Route("/", health.about), Route("/page/{name}", page.asset)]
        if watch:
            self._routes += [Route("/watch", watch.snapshot), Route("/watch/events", watch.events)]
        if admin:
            self._routes.append(Route("/metrics", health.metrics))

    async def __call__(self, request: Request) -> Response:
        scope = request.scope
        # The one whose every microsecond counts:
        if self._images and scope["method"] == "POST" and takes_images(scope["path"]):
            response = await self._images.post(request)
            return as_page(response) if scope["path"] == FORM else response
        if wants_page(scope):
            return self._page.index()
        if self._changes and scope["path"].startswith("/v1/models"):  # for admins, and may take long
            return await self._change(request)
        if self._outcomes and scope["method"] == "POST" and PATH.fullmatch(scope["path"]):
            async with self._side_share.turn():
                return await self._outcomes.post(request)
        share = self._health_share if scope["path"] in _HEALTH else self._side_share
        async with share.turn():
            scope["user"] = request.principal
            return await self._endpoint(scope)(StarletteRequest(scope))

    async def _change(self, request: Request) -> Response:
        """The response to an operator, and the line that a change leaves in the audit log."""
        scope, outcome = request.scope, "failed"
        try:
            scope[BODY] = await read_small(request)
            response = await self._endpoint(scope)(StarletteRequest(scope))
            outcome = "done" if response.status_code < 400 else "failed"
            return response
        finally:
            audit_request(request.principal, scope["method"], scope["path"], outcome)

    def _endpoint(self, scope: Scope) -> Endpoint:
        """The handler of a path and method. Raises `HTTPException` with 404 or 405."""
        for route in self._routes:
            match, found = route.matches(scope)
            if match is Match.PARTIAL:
                raise HTTPException(405, headers={"allow": ", ".join(sorted(route.methods or ()))})
            if match is Match.FULL:
                scope.update(found)
                return cast(Endpoint, route.endpoint)
        raise HTTPException(404)


async def _by_post_only(request: StarletteRequest) -> Response:
    raise NotImplementedError  # here for its path and method alone: uploads do not come this way
