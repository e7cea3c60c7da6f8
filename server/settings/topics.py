"""The settings by topic: each class below is a table of the TOML file, such as `[upload]`, and a heading of the help.

A setting is one field: flag, variable, TOML key, help and error text are derived from it. To add a setting, add a field
here and a section in docs/settings.md; a test compares the two. To add a topic, add a class and a field of `Settings`.
"""

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from server.settings.values import (
    AnyText,
    Bytes,
    Cache,
    Count,
    ExistingFile,
    Folder,
    GrpcPort,
    Host,
    HttpServer,
    HttpServerName,
    JwtAlgorithm,
    LogFile,
    ModelsUrl,
    Networks,
    OnOff,
    OptionalBytes,
    OptionalCount,
    OptionalNumber,
    OptionalSeconds,
    OptionalText,
    Origins,
    OtlpUrl,
    Pixels,
    Precision,
    QueueUrl,
    Records,
    Redact,
    SamplingRule,
    Seconds,
    Share,
    StorePolicy,
    StoreUrl,
    Text,
)
from server.units import HOUR, MB, MINUTE, SIZE


@dataclass(frozen=True, slots=True)
class Shown:
    """How a setting is shown, where its type and its default do not say it."""

    default: str = ""
    rule: str = ""
    advanced: bool = False
    """Shown by `--help-all`, not by `--help`."""


ADVANCED = Shown(advanced=True)


class Topic(BaseModel):
    """A group of settings, checked and frozen. Durations are seconds, sizes bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    heading: ClassVar[str]


class UploadSettings(Topic):
    """What a client may send, and how slowly."""

    heading = "uploads"

    max_image_bytes: Annotated[Bytes, Shown()] = Field(
        default=20 * MB, ge=1, le=1000 * MB, description="largest image, encoded"
    )
    max_pixels: Annotated[Pixels, Shown()] = Field(
        default=52_000_000, ge=1, description="largest image in pixels, width times height"
    )
    upload_timeout: Annotated[Seconds, Shown()] = Field(
        default=30.0, gt=0, le=24 * HOUR, description="time within which the whole body must arrive"
    )
    min_upload_rate: Annotated[Bytes, ADVANCED] = Field(
        default=1000, ge=1, description="bytes per second that a body must average after its first five seconds"
    )
    # CORRECTNESS: after max_image_bytes, because it is checked against it and fields are checked in this order.
    max_queue_bytes: Annotated[
        OptionalBytes, Shown("an eighth of the memory", rule="not below max_image_bytes", advanced=True)
    ] = Field(default=None, ge=1, description="encoded bytes held for all images, from admission to answer")

    @field_validator("max_queue_bytes")
    @classmethod
    def _one_image_fits(cls, value: int | None, info: ValidationInfo) -> int | None:
        """Refuse a budget in which the largest allowed image would never fit."""
        largest = info.data.get("max_image_bytes", 0)  # absent when it is itself wrong
        if value is not None and value < largest:
            raise ValueError(f"max_image_bytes is {SIZE.show(largest)}")
        return value


class ServerSettings(Topic):
    """How connections and the process begin and end."""

    heading = "operation"

    keep_alive: Annotated[Seconds, Shown()] = Field(
        default=75.0, gt=0, le=24 * HOUR, description="time an idle connection is kept open"
    )
    drain_delay: Annotated[Seconds, Shown()] = Field(
        default=5.0, ge=0, le=24 * HOUR, description="time after SIGTERM in which it is not ready but still serves"
    )
    shutdown_timeout: Annotated[Seconds, Shown()] = Field(
        default=30.0, gt=0, le=24 * HOUR, description="time after SIGTERM by which everything has ended"
    )
    access_log: Annotated[OnOff, Shown()] = Field(default=False, description="log every request, not only failures")
    trusted_proxies: Annotated[Networks, Shown("none", advanced=True)] = Field(
        default="", description="proxies and load balancers whose headers are believed"
    )
    proxy_protocol: Annotated[OnOff, ADVANCED] = Field(
        default=False, description="connections from trusted_proxies begin with a PROXY protocol header"
    )

    web: Annotated[Count, ADVANCED] = Field(
        default=1,
        ge=1,
        le=64,
        description="processes that read requests and send answers; more than one is experimental",
    )
    http_server: Annotated[HttpServer, Shown("uvicorn if installed, else hypercorn", advanced=True)] = Field(
        default=None, description="HTTP server"
    )
    max_connections: Annotated[OptionalCount, Shown("what open files and memory allow", advanced=True)] = Field(
        default=None, ge=1, description="open connections"
    )

    admin_host: Annotated[Host, ADVANCED] = Field(
        default="127.0.0.1", description="address of the admin port, unless host is loopback"
    )
    admin_port: Annotated[Count, ADVANCED] = Field(
        default=9091, ge=0, le=65535, description="TCP port of metrics, unless host is loopback"
    )

    @property
    def http_server_name(self) -> HttpServerName:
        """`http_server`, or the fastest that is installed."""
        return self.http_server or ("uvicorn" if find_spec("uvicorn") and find_spec("httptools") else "hypercorn")


class AuthSettings(Topic):
    """Who may ask, and how much."""

    heading = "access"

    keys: Annotated[ExistingFile, Shown("none: everybody may ask")] = Field(
        default=None, description="file of API keys, made by tureen keys"
    )
    require_auth: Annotated[OnOff, Shown()] = Field(
        default=False, description="refuse to start without keys or tokens to check"
    )
    jwt_issuer: Annotated[OptionalText, Shown("none: no tokens", advanced=True)] = Field(
        default=None, description="issuer of the tokens (JWT) that are accepted"
    )
    jwt_audience: Annotated[OptionalText, Shown("none", rule="which tokens need", advanced=True)] = Field(
        default=None, description="audience that a token must name"
    )
    jwt_algorithm: Annotated[JwtAlgorithm, ADVANCED] = Field(
        default="RS256", description="the one algorithm that tokens are signed with"
    )
    jwks_url: Annotated[OptionalText, Shown("what the issuer's discovery document says", advanced=True)] = Field(
        default=None, description="URL of the issuer's public keys"
    )
    jwt_key: Annotated[ExistingFile, Shown("none: the issuer is asked", advanced=True)] = Field(
        default=None, description="file with the issuer's public key (PEM)"
    )
    jwt_scope_claim: Annotated[Text, ADVANCED] = Field(
        default="scope", description="claim in which a token's scopes stand"
    )
    client_rate: Annotated[OptionalNumber, Shown("no limit", advanced=True)] = Field(
        default=None, gt=0, description="images per second of one client, for clients without a limit of their own"
    )
    client_burst: Annotated[OptionalCount, Shown("one second of client_rate", advanced=True)] = Field(
        default=None, ge=1, description="images that a client may send at once"
    )
    client_images: Annotated[OptionalCount, Shown("no limit", advanced=True)] = Field(
        default=None, ge=1, description="images of one client under way at a time"
    )

    @property
    def is_set(self) -> bool:
        """Whether there is anything to check a client by."""
        return bool(self.keys or self.jwt_issuer)


class TlsSettings(Topic):
    """Encryption."""

    heading = "encryption"

    tls_cert: Annotated[ExistingFile, Shown("none: plain HTTP", advanced=True)] = Field(
        default=None, description="certificate chain (PEM): HTTPS only"
    )
    tls_key: Annotated[ExistingFile, Shown("in tls_cert", advanced=True)] = Field(
        default=None, description="private key of the certificate (PEM)"
    )
    tls_client_ca: Annotated[ExistingFile, Shown("none", advanced=True)] = Field(
        default=None, description="certificates (PEM) by which clients must be certified (mTLS)"
    )


class ProtocolSettings(Topic):
    """What is spoken beside HTTP, and with whose pages."""

    heading = "protocols"

    grpc_port: Annotated[GrpcPort, Shown("none: no gRPC", advanced=True)] = Field(
        default=None, ge=0, le=65535, description="TCP port of the Open Inference Protocol over gRPC"
    )
    cors_origins: Annotated[Origins, Shown("none", advanced=True)] = Field(
        default="", description="origins whose pages may ask, separated by commas; * is any"
    )

    @property
    def origins(self) -> tuple[str, ...]:
        """`cors_origins`, one by one."""
        return tuple(filter(None, self.cors_origins.split(",")))


class RepositorySettings(Topic):
    """Several models, and changing them."""

    heading = "models"

    models: Annotated[ModelsUrl, Shown("none: only --model")] = Field(
        default="", description="folder of models, NAME/VERSION/model.onnx, served together"
    )
    watch: Annotated[OnOff, Shown()] = Field(
        default=False, description="serve new models and versions as they come into the folder"
    )
    load_timeout: Annotated[Seconds, ADVANCED] = Field(
        default=5.0 * MINUTE, gt=0, le=HOUR, description="time within which a version must be loaded"
    )
    standby: Annotated[Seconds, ADVANCED] = Field(
        default=10.0 * MINUTE, ge=0, le=24 * HOUR, description="time for which the version before stays loaded"
    )


class QueueSettings(Topic):
    """How many images wait and run together."""

    heading = "batches"

    max_batch: Annotated[Count, ADVANCED] = Field(
        default=32, ge=1, le=1024, description="most images per batch (the server measures the best size up to it)"
    )
    max_queue: Annotated[Count, ADVANCED] = Field(default=1024, ge=1, description="images that may wait for a worker")


class CacheSettings(Topic):
    """Answers that are kept for the next upload of the same bytes."""

    heading = "cache"

    cache: Annotated[Cache, Shown()] = Field(default="memory", description="where answers are kept")
    cache_ttl: Annotated[Seconds, ADVANCED] = Field(
        default=float(HOUR), gt=0, le=30 * 24 * HOUR, description="time for which an answer is kept"
    )
    cache_bytes: Annotated[Bytes, ADVANCED] = Field(
        default=64 * MB, ge=1, description="memory for answers that are kept, with --cache memory"
    )
    cache_timeout: Annotated[Seconds, ADVANCED] = Field(
        default=0.05, gt=0, le=1, description="time after which a cache in Redis that does not answer is not waited for"
    )

    @property
    def memory_bytes(self) -> int:
        """`cache_bytes`, or 0 where answers are not kept in memory."""
        return self.cache_bytes if self.cache == "memory" else 0

    @property
    def redis_url(self) -> str:
        """The URL of Redis, or "" where answers are not kept there."""
        return "" if self.cache in ("memory", "off") else self.cache


class StorageSettings(Topic):
    """Where images and their answers are kept after the answer."""

    heading = "storage"

    store: Annotated[StoreUrl, Shown(default="nowhere")] = Field(
        default="", description="where images and their records are kept"
    )
    store_policy: Annotated[StorePolicy, ADVANCED] = Field(
        default="async", description="whether an answer waits until its image is safely in the spool"
    )
    records: Annotated[Records, Shown()] = Field(
        default="off", description="whether records and originals can be read and deleted over HTTP"
    )
    redact: Annotated[Redact, ADVANCED] = Field(
        default="off", description="what is not stored: EXIF and other metadata, or originals at all"
    )
    retention: Annotated[OptionalSeconds, Shown("for ever", advanced=True)] = Field(
        default=None, gt=0, description="time for which images are kept"
    )
    spool_dir: Annotated[Folder, Shown(".spool in a local store, else in ~/.cache/tureen", advanced=True)] = Field(
        default=None, description="folder of images on their way to the store"
    )
    spool_bytes: Annotated[Bytes, ADVANCED] = Field(default=1000 * MB, ge=1, description="bytes the spool may hold")
    spool_items: Annotated[Count, ADVANCED] = Field(default=100_000, ge=1, description="images the spool may hold")
    s3_endpoint: Annotated[AnyText, Shown("that of AWS", advanced=True)] = Field(
        default="", description="URL of a server that is compatible with S3"
    )
    s3_encryption: Annotated[AnyText, Shown("the bucket's own", advanced=True)] = Field(
        default="", description="server-side encryption to ask for: AES256 or aws:kms"
    )

    @property
    def spool_folder(self) -> Path:
        """`spool_dir`, or its default."""
        if self.spool_dir:
            return self.spool_dir
        if not self.store.startswith("s3://"):
            return Path(self.store) / ".spool"
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.store.removeprefix("s3://"))[:80]
        return Path(os.path.expanduser("~/.cache/tureen")) / f"spool-{name}"


class TelemetrySettings(Topic):
    """What is told to other systems about each request."""

    heading = "telemetry"

    otlp_endpoint: Annotated[OtlpUrl, Shown("nothing is traced")] = Field(
        default=None, description="OpenTelemetry collector that traces are sent to"
    )
    trace_share: Annotated[Share, ADVANCED] = Field(
        default=0.01, ge=0, le=1, description="share of requests that are traced, beside slow and failed ones"
    )
    prediction_log: Annotated[LogFile, Shown("none")] = Field(
        default=None, description="file of answers as JSON lines, for a search engine"
    )
    prediction_sample: Annotated[SamplingRule, ADVANCED] = Field(
        default="1", description="which answers the prediction log gets"
    )


class QueuesSettings(Topic):
    """Queues of other systems: a second way in, and a way out."""

    heading = "queues"

    consume: Annotated[QueueUrl, Shown(default="none")] = Field(
        default="", description="queue of images to be answered beside those of clients"
    )
    forward: Annotated[QueueUrl, Shown(default="none")] = Field(
        default="", description="queue that uploads are passed on to, with --workers 0"
    )
    results: Annotated[QueueUrl, Shown(default="none", advanced=True)] = Field(
        default="", description="queue that the answers to consumed images are sent to"
    )
    dead_letters: Annotated[QueueUrl, Shown(default="what the queue itself names", advanced=True)] = Field(
        default="", description="queue for messages that cannot be answered"
    )
    consume_in_flight: Annotated[Count, ADVANCED] = Field(
        default=64, ge=1, le=10_000, description="messages in hand at a time"
    )
    consume_tries: Annotated[Count, ADVANCED] = Field(
        default=5, ge=1, le=1000, description="deliveries after which a message that fails is a dead letter"
    )
    visibility: Annotated[Seconds, ADVANCED] = Field(
        default=30.0,
        ge=1,
        le=12 * HOUR,
        description="time after which the messages of a dead consumer are delivered again",
    )
    sqs_endpoint: Annotated[AnyText, Shown("that of the queue's URL", advanced=True)] = Field(
        default="", description="URL of a server that is compatible with SQS"
    )


class WorkerSettings(Topic):
    """What runs the model."""

    heading = "workers"

    workers: Annotated[OptionalCount, Shown("measured", advanced=True)] = Field(
        default=None, ge=0, description="inference processes; 0 with --forward"
    )
    threads: Annotated[OptionalCount, Shown("measured", advanced=True)] = Field(
        default=None, ge=1, le=1024, description="threads per worker that run the model on a CPU"
    )
    profile_dir: Annotated[Folder, Shown("tureen in $XDG_CACHE_HOME, or ~/.cache/tureen", advanced=True)] = Field(
        default=None, description="where tureen tune saves its measurements and tureen serve finds them"
    )
    max_worker_growth: Annotated[OptionalBytes, Shown("from the memory and max_pixels", advanced=True)] = Field(
        default=None, ge=1, description="memory by which a worker may outgrow its start before it is replaced"
    )
    gpu_memory_limit: Annotated[OptionalBytes, Shown("all there is", advanced=True)] = Field(
        default=None, ge=1, description="GPU memory per worker"
    )
    cuda_graphs: Annotated[OnOff, ADVANCED] = Field(
        default=True, description="record the model once per batch size as a CUDA graph, when supported"
    )
    precision: Annotated[Precision, ADVANCED] = Field(
        default="model", description="precision on a GPU: the model's own, or float16 if it gives the same answers"
    )

    @property
    def profile_folder(self) -> Path:
        """`profile_dir`, or its default."""
        return self.profile_dir or Path(os.path.expanduser("~/.cache/tureen"))
