"""The application of `tureen serve`, for one client at a time, and without admin resources or a spool."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from starlette.types import ASGIApp

from server.access.setup import set_up
from server.engine import Engine
from server.process.memory import usable_memory
from server.settings import Settings, derived
from server.web.app import build_app
from server.web.client import TrustedProxies
from server.web.gate import Gate
from server.web.http.connections import Connections
from server.web.observing import observing
from server.web.runtime import Runtime
from server.web.uploads import BodyLimits, Uploads


@asynccontextmanager
async def open_application(settings: Settings, engine: Engine) -> AsyncIterator[ASGIApp]:
    """What answers HTTP events. Raises `AccessError`. For an engine that has been entered; it need not be ready."""
    access = set_up(settings.auth, settings.cache.redis_url)
    runtime = Runtime(engine, Connections(1))
    upload = settings.upload
    async with observing(settings, runtime, None, None) as observer, anyio.create_task_group() as beside:
        beside.start_soon(access.run)
        application = build_app(
            runtime,
            Gate(access.authenticator, access.limits, observer.metrics.count_auth_refusal, access.rates),
            observer,
            Uploads(BodyLimits(upload.max_image_bytes, upload.upload_timeout, upload.min_upload_rate)),
            TrustedProxies(settings.server.trusted_proxies),
            origins=settings.protocols.origins,
            request_bytes=derived.request_bytes(upload, usable_memory()),
            admin=False,
        )
        yield application.asgi
        beside.cancel_scope.cancel()
