"""The calls of the inference service. Each passes the gate before its message is read."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import anyio
import grpc
import structlog
from google.protobuf.message import DecodeError

from server.access.principal import Principal
from server.telemetry.record import Progress, RequestRecord
from server.web.audit import audit_request
from server.web.client import TrustedProxies
from server.web.errors import PROBLEMS, RequestError
from server.web.gate import Gate
from server.web.metrics import Metrics
from server.web.observer import Observer
from server.web.oip import models
from server.web.oip.infer import Asked, Inferrer, Target
from server.web.oip.inference import MOST_ENTRIES
from server.web.oip.repository import Repository
from server.web.oip.resources import EXTENSIONS, NAME, VERSION
from server.web.request import request_id
from server.web.rpc import inference_pb2 as pb
from server.web.rpc import messages
from server.web.rpc.health import SERVICE
from server.web.rpc.reading import Reading
from server.web.rpc.status import status_of
from server.web.runtime import Runtime
from server.web.terms import read_terms

Message = Any
"""A message of `inference_pb2`, which has no types."""
_LOGGED = ("internal_error", "model_error")

log = structlog.stdlib.get_logger("tureen.grpc")


class Call(NamedTuple):
    """One call. `metadata`: names in lower case; of one that is repeated, the last."""

    context: Any
    metadata: Mapping[bytes, bytes]
    principal: Principal
    received: float
    requests: AsyncIterator[bytes]
    progress: Progress

    async def message(self, of: Message) -> Message:
        """Its one message, of the class `of`. Raises `RequestError` where there is none."""
        return parsed(await self.data(), of)

    async def data(self) -> bytes:
        """Its one message, as it came. Raises `RequestError` where there is none."""
        async for data in self.requests:
            return data
        raise RequestError("bad_inference")


def parsed(data: bytes, of: Message) -> Message:
    """A message of the class `of`. Raises `RequestError`."""
    try:
        return of.FromString(data)
    except DecodeError:
        raise RequestError("bad_inference") from None


Answer = Callable[[Call], Awaitable[Message]]


class Service:
    """`GRPCInferenceService`. It has no state of its own."""

    def __init__(
        self,
        runtime: Runtime,
        gate: Gate,
        proxies: TrustedProxies,
        observer: Observer[Metrics],
        inferrer: Inferrer,
        reading: Reading,
        repository: Repository | None = None,
    ) -> None:
        """`repository`: None where there is nothing to change, or nobody may."""
        self._runtime = runtime
        self._gate = gate
        self._proxies = proxies
        self._observer = observer
        self._metrics = observer.metrics
        self._inferrer = inferrer
        self._reading = reading
        self._repository = repository

    def handlers(self) -> grpc.GenericRpcHandler:
        """What a server routes calls by.

        A call with one message is declared as one with a stream of them, which is the same on the wire: its handler
        begins with the call's head, before the message is read.
        """
        calls: dict[str, Answer] = {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ServerMetadata": self._server,
            "ModelReady": self._model_ready,
            "ModelMetadata": self._model,
            "ModelConfig": self._config,
            "ModelStatistics": self._statistics,
            "ModelInfer": self._infer,
        }
        if self._repository:
            calls |= {
                "RepositoryIndex": partial(self._index, self._repository),
                "RepositoryModelLoad": partial(self._load, self._repository),
                "RepositoryModelUnload": partial(self._unload, self._repository),
            }
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                name: grpc.stream_unary_rpc_method_handler(self._around(name, answer), None, _serialise)
                for name, answer in calls.items()
            },
        )

    def _around(self, name: str, answer: Answer) -> Callable[[AsyncIterator[bytes], Any], Awaitable[Message]]:
        path = f"/{SERVICE}/{name}"

        async def handle(requests: AsyncIterator[bytes], context: Any) -> Message:  # noqa: ANN401 - no types
            received = self._runtime.now()
            given = [(key.encode(), _bytes(value)) for key, value in context.invocation_metadata() or ()]
            metadata = dict(given)
            name, trace = request_id(metadata.get(b"x-request-id")), self._observer.begin(metadata)
            progress, status = Progress(), 0
            origin = self._proxies.origin(_host(context.peer()), given)
            outcome = "client_gone"
            context.set_trailing_metadata((("x-request-id", name),))
            try:
                keys = [value for key, value in given if key == b"authorization"]
                admitted = await self._gate.enter("POST", path, keys, origin, received)
                try:
                    call = Call(context, metadata, admitted.principal, received, requests, progress)
                    response = await answer(call)
                finally:
                    self._gate.leave(admitted)
                outcome, status = "ok", 200
                return response
            except Exception as error:
                failure = status_of(error)
                outcome, status = failure.code, PROBLEMS[failure.code].status
                if outcome in _LOGGED:
                    log.error("call_failed", request_id=name, code=outcome, exc_info=error)
                await context.abort(failure.status, failure.text, (*failure.trailers, ("x-request-id", name)))
            finally:
                now = self._runtime.now()
                record = RequestRecord(name, path, outcome, status, received, now, progress, trace, by_grpc=True)
                self._observer.called(record, origin.address)

        return handle

    # -- the calls -----------------------------------------------------------------------------------

    async def _infer(self, call: Call) -> Message:
        engine = self._runtime.engine
        terms = read_terms(call.metadata)
        within_s = call.context.time_remaining()
        with engine.reserve(0) as reservation:
            async with self._reading.turn(call.principal.id):
                data = await call.data()
                reservation.grow_to(len(data))
                call.progress.size = len(data)
            request = parsed(data, pb.ModelInferRequest)
            target = Target(models.find(engine, request.model_name, request.model_version), request.model_version)
            uploaded = self._runtime.now()
            if messages.is_slow(request):
                inference = await anyio.to_thread.run_sync(messages.inference_of, request)
            else:
                inference = messages.inference_of(request)
            asked = Asked(call.principal, terms, call.received, uploaded, call.progress, within_s)
            model, outputs = await self._inferrer.infer(inference, target, asked, reservation)
        return messages.response_of(model, request.id, outputs)

    async def _live(self, call: Call) -> Message:
        return pb.ServerLiveResponse(live=True)

    async def _ready(self, call: Call) -> Message:
        return pb.ServerReadyResponse(ready=self._runtime.ready)

    async def _server(self, call: Call) -> Message:
        return pb.ServerMetadataResponse(name=NAME, version=VERSION, extensions=EXTENSIONS)

    async def _model_ready(self, call: Call) -> Message:
        request = await call.message(pb.ModelReadyRequest)
        model = models.find(self._runtime.engine, request.name, request.version)
        return pb.ModelReadyResponse(ready=models.is_ready(self._runtime.engine, model))

    async def _model(self, call: Call) -> Message:
        request = await call.message(pb.ModelMetadataRequest)
        model = models.find(self._runtime.engine, request.name, request.version)
        return messages.metadata_of(model, models.versions(self._runtime.engine, model.name), models.PLATFORM)

    async def _config(self, call: Call) -> Message:
        request = await call.message(pb.ModelConfigRequest)
        model = models.find(self._runtime.engine, request.name, request.version)
        return messages.config_of(model, models.config(model, MOST_ENTRIES))

    async def _statistics(self, call: Call) -> Message:
        request, engine = await call.message(pb.ModelStatisticsRequest), self._runtime.engine
        found = [models.find(engine, request.name, request.version)] if request.name else models.served(engine)
        return messages.statistics_of([self._metrics.statistics.of(model) for model in found])

    async def _index(self, repository: Repository, call: Call) -> Message:
        request = await call.message(pb.RepositoryIndexRequest)
        found = await repository.index(ready=request.ready)
        entries = [pb.RepositoryIndexResponse.ModelIndex(**one._asdict()) for one in found]
        return pb.RepositoryIndexResponse(models=entries)

    async def _load(self, repository: Repository, call: Call) -> Message:
        request = await call.message(pb.RepositoryModelLoadRequest)
        if request.parameters:  # a model comes from the folder as it is
            raise RequestError("bad_inference")
        await self._changed(call, "load", request.model_name, repository.load)
        return pb.RepositoryModelLoadResponse()

    async def _unload(self, repository: Repository, call: Call) -> Message:
        request = await call.message(pb.RepositoryModelUnloadRequest)
        await self._changed(call, "unload", request.model_name, repository.unload)
        return pb.RepositoryModelUnloadResponse()

    async def _changed(self, call: Call, what: str, name: str, change: Callable[[str], Awaitable[None]]) -> None:
        """Do it, and leave a line in the audit log."""
        outcome = "failed"
        try:
            await change(name)
            outcome = "done"
        finally:
            audit_request(call.principal, "POST", f"/v2/repository/models/{name}/{what}", outcome)


def _serialise(message: Message) -> bytes:
    data: bytes = message.SerializeToString()
    return data


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _host(peer: str) -> str:
    """The address in gRPC's name of a peer, such as `ipv4:127.0.0.1:40000` or `ipv6:%5B::1%5D:40000`."""
    return peer.partition(":")[2].rpartition(":")[0].removeprefix("%5B").removesuffix("%5D")
