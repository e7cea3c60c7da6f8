"""All settings of the server: those every operator meets, and the topics (server/settings/topics.py)."""

from typing import Annotated, Literal

from pydantic import Field

from server.settings.topics import (
    AuthSettings,
    CacheSettings,
    ProtocolSettings,
    QueueSettings,
    QueuesSettings,
    RepositorySettings,
    ServerSettings,
    Shown,
    StorageSettings,
    TelemetrySettings,
    TlsSettings,
    Topic,
    UploadSettings,
    WorkerSettings,
)
from server.settings.values import Count, Host, Model, Provider, Seconds, is_loopback
from server.units import MINUTE


class Settings(Topic):
    """Every setting, checked and frozen. `model_dump_json` and `model_validate_json` carry it to a child process."""

    heading = "service"

    model: Annotated[Model, Shown(default="the demo model")] = Field(default=None, description="the model to serve")
    slo: Annotated[Seconds, Shown()] = Field(
        default=1.0, gt=0, le=10 * MINUTE, description="deadline of every image, from the last byte of its upload"
    )
    provider: Annotated[Provider, Shown()] = Field(default="auto", description="where the model runs")
    host: Annotated[Host, Shown()] = Field(default="127.0.0.1", description="address to listen on")
    port: Annotated[Count, Shown()] = Field(
        default=8080, ge=0, le=65535, description="TCP port to listen on (0 takes any free one)"
    )

    upload: UploadSettings = Field(default_factory=UploadSettings)
    server: ServerSettings = Field(default_factory=ServerSettings)
    auth: AuthSettings = Field(default_factory=AuthSettings)
    tls: TlsSettings = Field(default_factory=TlsSettings)
    protocols: ProtocolSettings = Field(default_factory=ProtocolSettings)
    repository: RepositorySettings = Field(default_factory=RepositorySettings)
    queue: QueueSettings = Field(default_factory=QueueSettings)
    cache: CacheSettings = Field(default_factory=CacheSettings)
    storage: StorageSettings = Field(default_factory=StorageSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)
    queues: QueuesSettings = Field(default_factory=QueuesSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can ask: then admin resources share the port."""
        return is_loopback(self.host)

    @property
    def provider_name(self) -> Literal["auto", "cpu", "cuda"]:
        """`provider` without the index of the GPU."""
        name = self.provider.partition(":")[0]
        return "cuda" if name == "cuda" else "cpu" if name == "cpu" else "auto"

    @property
    def devices(self) -> tuple[int, ...]:
        """The indices of the GPUs; none where all are to be used."""
        given = self.provider.partition(":")[2] or "0"
        return () if given == "all" else tuple(dict.fromkeys(map(int, given.split(","))))
