"""grpc.health.v1: whether a load balancer should send calls here."""

from collections.abc import AsyncIterator
from typing import Any, Final

import anyio
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.web.runtime import Runtime

SERVICE: Final = "inference.GRPCInferenceService"
_LOOK_S = 0.2
_MOST_WATCHERS = 64


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # generated, without types
    """Its state: how many clients watch."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._watchers = 0

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: ANN401 - gRPC's name; a generated message
        """The status of the server ("") or of the inference service."""
        if request.service not in ("", SERVICE):
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return health_pb2.HealthCheckResponse(status=self._status())

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - as above
        """The status now, and again whenever it changes."""
        if self._watchers >= _MOST_WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many watch already")
        self._watchers += 1
        try:
            told = None
            while True:
                known = request.service in ("", SERVICE)
                status = self._status() if known else health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
                if status != told:
                    told = status
                    yield health_pb2.HealthCheckResponse(status=status)
                await anyio.sleep(_LOOK_S)
        finally:
            self._watchers -= 1

    def _status(self) -> Any:  # noqa: ANN401 - an enumeration of protobuf
        serving = health_pb2.HealthCheckResponse
        return serving.SERVING if self._runtime.ready else serving.NOT_SERVING
