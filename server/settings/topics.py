"""The settings by topic: each class below is a table of the TOML file, such as `[upload]`, and a heading of the help.

A setting is one field: flag, variable, TOML key, help and error text are derived from it. To add a setting, add a field
here and a section in docs/settings.md; a test compares the two. To add a topic, add a class and a field of `Settings`.
"""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from server.settings.units import HOUR, MB, SIZE
from server.settings.values import (
    Bytes,
    Count,
    Folder,
    HttpServer,
    HttpServerName,
    Networks,
    OnOff,
    OptionalBytes,
    OptionalCount,
    Pixels,
    Precision,
    Seconds,
)


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

    max_image_bytes: Annotated[Bytes, Shown()] = Field(default=20 * MB, ge=1, description="largest image, encoded")
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
        default="", description="proxies and load balancers whose word is taken for a client's address"
    )
    http_server: Annotated[HttpServer, Shown("uvicorn if installed, else hypercorn", advanced=True)] = Field(
        default=None, description="HTTP server"
    )
    max_connections: Annotated[OptionalCount, Shown("what open files and memory allow", advanced=True)] = Field(
        default=None, ge=1, description="open connections"
    )

    @property
    def http_server_name(self) -> HttpServerName:
        """`http_server`, or the fastest that is installed."""
        return self.http_server or ("uvicorn" if find_spec("uvicorn") and find_spec("httptools") else "hypercorn")


class QueueSettings(Topic):
    """How many images wait and run together."""

    heading = "batches"

    max_batch: Annotated[Count, ADVANCED] = Field(
        default=32, ge=1, le=1024, description="most images per batch (the server measures the best size up to it)"
    )
    max_queue: Annotated[Count, ADVANCED] = Field(default=1024, ge=1, description="images that may wait for a worker")


class WorkerSettings(Topic):
    """What runs the model."""

    heading = "workers"

    workers: Annotated[OptionalCount, Shown("measured", advanced=True)] = Field(
        default=None, ge=1, description="inference processes"
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
