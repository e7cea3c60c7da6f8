"""Tureen as a Ray Serve application: an ingress that keeps the body, and replicas that each run an engine.

    serve run tureen_ray:app                       the demo model on this machine
    serve run tureen_ray:app models=/models        the folders of /models, by ?model=NAME
    serve deploy cluster.yaml                      on a cluster that runs

The engine decides what is admitted, not Ray's queues: `max_ongoing_requests` is above what that admits. So refusals
keep their reason and their Retry-After. What a lost replica had is sent to another one while the deadline lasts.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.config import AutoscalingConfig, AutoscalingContext, AutoscalingPolicy
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import batcher
from preprocess.errors import ImageError
from preprocess.header import read_header
from server.contract.answer import Timing, render
from server.contract.errors import TaskError
from server.contract.ids import uuid7
from server.contract.task import ImageTask
from server.engine import Engine
from server.repository.errors import NoSuchModel
from server.repository.folder import is_name
from server.settings import load_settings
from server.web.errors import RequestError, problem_response
from server.web.terms import Terms, read_terms

TARGET = 0.6  # of what a replica can answer: the load at which another one is started
MAX_ONGOING = 1000  # per replica; its engine refuses long before
_WINDOW_S = 10.0  # over which offered images are counted
_PAUSE_S = 0.05  # between two tries, while no replica is there


class Sent(NamedTuple):
    """A response, as one process hands it to another."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Running:
    """An engine in a task of its own, which enters and leaves it. Its whole state: the engine and that task."""

    def __init__(self, words: list[str]) -> None:
        self.engine = Engine(load_settings(words, {}))
        self._over = asyncio.Event()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._live())

    async def ready(self) -> None:
        """Raises `EngineFailed`."""
        await asyncio.shield(self._ready)

    async def close(self) -> None:
        """Answer what was accepted, and end the workers."""
        self._over.set()
        await self._task

    __del__ = close  # what Ray calls when a model is put out for another one

    async def _live(self) -> None:
        try:
            async with self.engine:
                self._ready.set_result(None)
                await self._over.wait()
        except Exception as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)


def policy(context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
    """As many replicas as the load of all of them together takes, each at `TARGET`. Ray applies delays and limits."""
    loads = (context.aggregated_metrics or {}).get("load", {})
    if not loads:
        return context.target_num_replicas, {}
    return max(1, math.ceil(sum(loads.values()) / TARGET)), {}


@serve.deployment(
    max_ongoing_requests=MAX_ONGOING,
    graceful_shutdown_timeout_s=30,
    health_check_period_s=2,
    health_check_timeout_s=10,
    autoscaling_config=AutoscalingConfig(
        min_replicas=1, max_replicas=4, upscale_delay_s=5, downscale_delay_s=60, metrics_interval_s=1,
        look_back_period_s=5, policy=AutoscalingPolicy(policy_function=policy),
    ),
)  # fmt: skip
class Replica:
    """Answers images with an engine per model, at most `models_per_replica` at a time."""

    def __init__(self, flags: Mapping[str, str], models: str) -> None:
        """`flags`: of `tureen serve`. `models`: a folder of model folders; "" is the one model of the flags."""
        self._words = _words(flags)
        self._model = flags.get("model", "")
        self._models = models
        self._engines: list[Running] = []
        self._offered: deque[float] = deque()

    @serve.multiplexed(max_num_models_per_replica=3)
    async def running(self, name: str) -> Running:
        """The engine of a model, started if need be."""
        path = str(Path(self._models) / name) if self._models else self._model
        running = Running([*self._words, *(["--", path] if path else [])])
        await running.ready()
        self._engines = [each for each in self._engines if each.engine is not running.engine] + [running]
        return running

    async def answer(self, body: bytes, headers: dict[bytes, bytes], within_s: float, request_id: str) -> Sent:
        """The response to one image, refusals included. `within_s`: what is left of its deadline."""
        received = time.monotonic()
        self._offered.append(received)
        try:
            terms = read_terms(headers)
            running = await self.running(serve.get_multiplexed_model_id() or "default")
            return await _answered(running.engine, body, terms, received, within_s, request_id)
        except (batcher.BatcherError, ImageError, TaskError, RequestError) as error:
            return _problem(error, request_id)

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What the policy sees: offered images per second over what this replica can answer, as the HPA's metric."""
        now = time.monotonic()
        while self._offered and self._offered[0] < now - _WINDOW_S:
            self._offered.popleft()
        capacity = sum(map(_capacity, self._engines))
        return {"load": len(self._offered) / _WINDOW_S / capacity if capacity else 0.0}


async def _answered(
    engine: Engine, body: bytes, terms: Terms, received: float, within_s: float, request_id: str
) -> Sent:
    task = ImageTask(body, read_header(body, engine.limits))
    answer = await engine.submit(task, received + within_s, terms.urgency, terms.reuse)
    reply, now = answer.reply, time.monotonic()
    queue_s, total_s = max(0.0, reply.begun - received), now - received
    parts = (0.0, queue_s, reply.decode_s, reply.infer_s, total_s)
    document = render(answer, Timing(*(round(seconds * 1e3, 3) for seconds in parts)))
    return Sent(200, [("content-type", "application/json"), ("x-request-id", request_id)], document)


def _capacity(running: Running) -> float:
    stats = running.engine.status().stats
    return stats.executors / stats.seconds_per_job if stats.seconds_per_job else 0.0


def _problem(error: Exception, request_id: str) -> Sent:
    response = problem_response(error, request_id)
    headers = [(name.decode(), value.decode()) for name, value in response.raw_headers]
    return Sent(response.status_code, [*headers, ("x-request-id", request_id)], bytes(response.body))


@serve.deployment(max_ongoing_requests=10_000, ray_actor_options={"num_cpus": 0}, num_replicas=1)
class Ingress:
    """HTTP. It keeps a request's body until there is an answer, so that a lost replica costs nobody anything."""

    def __init__(self, replicas: DeploymentHandle, slo_s: float, max_bytes: int) -> None:
        self._replicas = replicas
        self._slo_s = slo_s
        self._max_bytes = max_bytes
        self._resubmitted = 0

    async def __call__(self, request: Request) -> Response:
        """POST /v1/images, GET /healthz and /readyz."""
        if request.url.path in ("/healthz", "/readyz"):
            return JSONResponse({"status": "ok", "resubmitted": self._resubmitted})
        sent = await self._images(request, str(uuid7()))
        return Response(sent.body, sent.status, dict(sent.headers))

    async def _images(self, request: Request, request_id: str) -> Sent:
        received = time.monotonic()
        headers = dict(request.headers.raw)
        try:
            if request.url.path != "/v1/images":
                raise RequestError("not_found")
            if request.method != "POST":
                raise RequestError("method_not_allowed")
            model = request.query_params.get("model", "")
            if model and not is_name(model):
                raise NoSuchModel(model)
            deadline = received + (read_terms(headers).timeout_s or self._slo_s)
            body = await request.body()
            if len(body) > self._max_bytes:
                raise RequestError("body_too_large")
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + deadline - time.monotonic()):
                return await self._resubmitting(body, headers, deadline, request_id, model)
        except BackPressureError:
            return _problem(batcher.QueueFull("no replica takes more", 1.0), request_id)
        except TimeoutError:
            return _problem(batcher.DeadlineExceeded("waiting"), request_id)
        except (RequestError, NoSuchModel) as error:
            return _problem(error, request_id)

    async def _resubmitting(
        self, body: bytes, headers: dict[bytes, bytes], deadline: float, request_id: str, model: str
    ) -> Sent:
        """Until a replica has answered. Cancellation: takes the image back where it is."""
        handle = self._replicas.options(multiplexed_model_id=model) if model else self._replicas
        while True:
            try:
                sent: Sent = await handle.answer.remote(body, headers, deadline - time.monotonic(), request_id)
                return sent
            except BackPressureError:
                raise
            except (RayActorError, RayServeException, RayError):  # a replica or its node has gone
                self._resubmitted += 1
                await asyncio.sleep(_PAUSE_S)


def app(arguments: dict[str, str]) -> serve.Application:
    """`arguments`: `models` (a folder), `replicas` (a fixed number), `num_cpus` and `num_gpus` per replica, `ingresses`
    (one per node is best); everything else is a setting of `tureen serve`, such as slo=500ms."""
    flags = {name: str(value) for name, value in arguments.items()}
    models, replicas, gpus = flags.pop("models", ""), flags.pop("replicas", ""), flags.pop("num_gpus", "0")
    cpus, ingresses = flags.pop("num_cpus", "1"), flags.pop("ingresses", "1")
    flags = {"workers": "1", "threads": "1", **flags}
    settings = load_settings(_words(flags), {})
    options: dict[str, Any] = {"ray_actor_options": {"num_cpus": float(cpus), "num_gpus": float(gpus)}}
    if replicas:
        options |= {"num_replicas": int(replicas), "autoscaling_config": None}
    replica = Replica.options(**options).bind(flags, models)
    ingress = Ingress.options(num_replicas=int(ingresses), max_replicas_per_node=1)
    return ingress.bind(replica, settings.slo, settings.upload.max_image_bytes)


def _words(flags: Mapping[str, str]) -> list[str]:
    """The command line of these settings, without the model."""
    return [f"--{name.replace('_', '-')}={value}" for name, value in flags.items() if name != "model"]
