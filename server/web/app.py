"""The ASGI application: uploads go straight to their handler, everything else by starlette's routes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, cast

from anyio.abc import TaskGroup
from starlette.exceptions import HTTPException
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Scope

from server.engine.models import Models
from server.web.audit import audit_request
from server.web.batch import Batch
from server.web.client import TrustedProxies
from server.web.cors import NOBODY, Cors
from server.web.deferred import Deferred
from server.web.early_reject import EarlyReject
from server.web.exchange import Exchange, Handler
from server.web.forwarding import Forwarding
from server.web.gate import Gate
from server.web.health import Health
from server.web.http.pacing import Pacing
from server.web.images import Images
from server.web.keeping import Keeping
from server.web.metrics import Metrics
from server.web.models import ModelsAdmin
from server.web.observer import Observer
from server.web.oip.infer import Inferrer
from server.web.oip.repository import Repository, RepositoryResources
from server.web.oip.resources import Protocol
from server.web.openapi.document import Limits
from server.web.openapi.resource import OpenApi
from server.web.outcomes import PATH, Outcomes
from server.web.page.resources import Page, as_page, wants_page
from server.web.paths import FORM, OF_OPERATORS, OPEN, takes_images
from server.web.profiling import PROFILE, STACKS, Profiling
from server.web.puts import Puts
from server.web.records import Records
from server.web.refusals import Refusals
from server.web.request import Request
from server.web.rollouts import BODY
from server.web.runtime import Runtime
from server.web.sent import Sent
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
    observer: Observer[Metrics],
    uploads: Uploads,
    proxies: TrustedProxies,
    keeping: Keeping | None = None,
    *,
    models: Models | None = None,
    more: Sequence[Route] = (),
    open_records: bool = False,
    background: TaskGroup | None = None,
    origins: Sequence[str] = (),
    request_bytes: int = 0,
    watch: Watch | None = None,
    forwards: bool = False,
    clients: bool = True,
    admin: bool = True,
) -> Application:
    """One application for one listening socket: with the resources for clients, those for admins, or both.

    `models`: the repository, if there is one; `more`: further resources for admins. `keeping`: None where nothing is
    kept. `open_records`: they can be read back, others' where there are resources for admins. `forwards`: images are
    kept to be answered elsewhere. `background`: in which images are answered whose clients do not wait. `origins`:
    whose pages may ask. `request_bytes`: of the body of a request with several images; 0 is what one image may have.
    `watch`: for admins.
    """
    metrics = observer.metrics
    images: Images | Forwarding | None = None
    if clients and forwards and keeping:
        images = Forwarding(runtime, uploads.limits.max_bytes, keeping.spool)
    elif clients:
        images = Images(runtime, metrics, uploads.limits.max_bytes, keeping, observer.tracer)
    records = Records(runtime, keeping, others=admin) if keeping and open_records else None
    changes = [*more, *(ModelsAdmin(models).routes() if models else ())] if admin else []
    if models and (admin or gate.checks_keys):  # Triton's clients know one port; elsewhere it takes the scope admin
        changes += RepositoryResources(Repository(models)).routes()
    outcomes = Outcomes(keeping) if clients and keeping else None
    most = request_bytes or uploads.limits.max_bytes
    protocol = Protocol(runtime, metrics, Inferrer(runtime, gate, metrics), most) if clients else None
    watch = watch if admin else None
    page = Page(clients=clients and not forwards, admin=watch is not None, records=records is not None)
    resources = Resources(
        images, Health(runtime, metrics, admin), records, admin, page, watch, changes, outcomes, protocol
    )
    if admin:
        profiling = Profiling(runtime)
        resources.work(PROFILE, "GET", profiling.profile)
        resources.work(STACKS, "GET", profiling.stacks)
    if isinstance(images, Images):
        sent = Sent(keeping)
        resources.work("/v1/images/{id}", "PUT", Puts(runtime, images, sent).put)
        resources.work("/v1/images:batch", "POST", Batch(runtime, images, gate, most).post)
        if records and background:
            images.deferred = records.deferred = Deferred(runtime, images.answer, background, observer.concluded)
        if records:
            records.sent = sent
        resources.describe(Limits(uploads.limits.max_bytes, most), keys=gate.checks_keys)
    cors = Cors(origins) if origins else NOBODY
    refusals = Refusals(observer, runtime.now)
    early_reject = EarlyReject(runtime, gate, proxies, refusals, uploads.limits.max_bytes, cors)
    exchange = Exchange(resources, gate, runtime, observer, uploads, early_reject.arm, proxies, cors, resources.methods)
    pacing = Pacing(proxies, early_reject.room, metrics.refusal_delay.observe, asyncio.get_running_loop())
    return Application(exchange, early_reject, refusals, pacing)


_HEALTH = OPEN  # a flood of anything else shall not delay what a load balancer asks

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
        protocol: Protocol | None = None,
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
        self._work: list[Route] = []
        """What waits for no turn: where images are sent, and profiles, which wait for their own end."""
        if protocol:
            self._routes += _model_routes(protocol)
            for path in _of_model("/infer"):
                self.work(path, "POST", protocol.infer)
        if admin:
            self._routes.append(Route("/metrics", health.metrics))

    def work(self, path: str, method: str, handler: Handler) -> None:
        """Have images that are sent there handled. For before the first request."""
        self._work.append(Route(path, handler, methods=[method]))

    def describe(self, limits: Limits, *, keys: bool) -> None:
        """Have all resources that are there now described, and the description, too."""
        ours = [("GET", "/openapi.json"), ("GET", "/docs")]
        routes = [(method, route.path) for route in (*self._routes, *self._work) for method in route.methods or ()]
        openapi = OpenApi([*(one for one in routes if one[0] != "HEAD"), *ours], limits, keys=keys)
        self._routes += [Route("/openapi.json", openapi.json), Route("/docs", openapi.html)]

    def methods(self, scope: Scope) -> Sequence[str]:
        """The methods that a path takes. Raises `HTTPException` with 404."""
        if scope["path"] == "*":  # of the server as a whole
            return ("DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT")
        matching = [route for route in (*self._routes, *self._work) if route.matches(scope)[0] is not Match.NONE]
        if not matching:
            raise HTTPException(404)
        return sorted({"OPTIONS"}.union(*(route.methods or () for route in matching)))

    async def __call__(self, request: Request) -> Response:
        scope = request.scope
        # The one whose every microsecond counts:
        if self._images and scope["method"] == "POST" and takes_images(scope["path"]):
            response = await self._images.post(request)
            return as_page(response) if scope["path"] == FORM else response
        if wants_page(scope):
            return self._page.index()
        if self._changes and scope["path"].startswith(OF_OPERATORS):  # may take long
            return await self._change(request)
        if self._outcomes and scope["method"] == "POST" and PATH.fullmatch(scope["path"]):
            async with self._side_share.turn():
                return await self._outcomes.post(request)
        for route in self._work:
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                return await cast(Handler, route.endpoint)(request)
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
            if match is Match.FULL:
                scope.update(found)
                return cast(Endpoint, route.endpoint)
        raise HTTPException(405, headers={"allow": ", ".join(self.methods(scope))})


def _of_model(path: str) -> tuple[str, str]:
    """A resource of a model, and of one version of it."""
    return f"/v2/models/{{model}}{path}", f"/v2/models/{{model}}/versions/{{version}}{path}"


def _model_routes(protocol: Protocol) -> list[Route]:
    routes = [
        Route("/v2", protocol.server),
        Route("/v2/health/live", protocol.live),
        Route("/v2/health/ready", protocol.ready),
        Route("/v2/models", protocol.all),
        Route("/v2/models/stats", protocol.stats),
    ]
    handlers = {
        "": protocol.model,
        "/ready": protocol.model_ready,
        "/config": protocol.config,
        "/stats": protocol.stats,
    }
    return routes + [Route(path, handler) for end, handler in handlers.items() for path in _of_model(end)]


async def _by_post_only(request: StarletteRequest) -> Response:
    raise NotImplementedError  # here for its path and method alone: uploads do not come this way
