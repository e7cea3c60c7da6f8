"""The one list of settings: flags, variables, TOML keys, help and error texts are all derived from its fields.

A setting is added by adding a field (and a section in docs/settings.md, which a test compares with it).
"""

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from server.settings.units import HOUR, MB, MINUTE, SIZE
from server.settings.values import (
    Bytes,
    Count,
    Folder,
    Host,
    HttpServer,
    Model,
    OnOff,
    OptionalBytes,
    OptionalCount,
    Pixels,
    Precision,
    Provider,
    Seconds,
)


class Topic(Enum):
    """The headings under which the help and the documentation list the settings."""

    ADDRESS = "address"
    MODEL = "model"
    PROMISE = "promise"
    LIMITS = "limits"
    LIFE = "life"
    LOGS = "logs"


@dataclass(frozen=True, slots=True)
class Words:
    """Words for what a field's type and default cannot say."""

    default: str = ""
    rule: str = ""


class Settings(BaseModel):
    """Every setting of the server, checked and frozen.

    Durations are seconds, sizes bytes. `model_dump_json` and `model_validate_json` carry it to a child.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    host: Annotated[Host, Topic.ADDRESS] = Field("127.0.0.1", description="address to listen on")
    port: Annotated[Count, Topic.ADDRESS] = Field(
        8080, ge=0, le=65535, description="TCP port to listen on (0 takes any free one)"
    )
    http_server: Annotated[HttpServer, Topic.ADDRESS] = Field(
        "hypercorn", description="what speaks HTTP (uvicorn costs less a request, which tells on cheap models)"
    )

    model: Annotated[Model, Topic.MODEL, Words(default="the demo model")] = Field(None, description="what answers")
    provider: Annotated[Provider, Topic.MODEL] = Field("auto", description="what computes")
    device: Annotated[Count, Topic.MODEL] = Field(0, ge=0, le=1023, description="index of the GPU, where one computes")
    gpu_memory_limit: Annotated[OptionalBytes, Topic.MODEL, Words(default="all there is")] = Field(
        None, ge=1, description="memory of the GPU that each worker's model may take"
    )
    cuda_graphs: Annotated[OnOff, Topic.MODEL] = Field(
        default=True, description="record the model on the GPU once for each batch size, and replay it, if that can be"
    )
    precision: Annotated[Precision, Topic.MODEL] = Field(
        "model", description="what a GPU computes in: as the model is, or in float16 if that answers the same"
    )
    workers: Annotated[OptionalCount, Topic.MODEL, Words(default="what was measured to be best")] = Field(
        None, ge=1, description="inference processes"
    )
    threads: Annotated[OptionalCount, Topic.MODEL, Words(default="what was measured to be best")] = Field(
        None, ge=1, le=1024, description="threads with which each of them runs the model on a CPU"
    )
    profile_dir: Annotated[Folder, Topic.MODEL, Words(default="tureen in $XDG_CACHE_HOME, or ~/.cache/tureen")] = Field(
        None, description="where tureen tune leaves what it measured, and tureen serve finds it"
    )
    max_batch: Annotated[Count, Topic.MODEL] = Field(
        32, ge=1, le=1024, description="images in the largest batch (measurement decides the size up to it)"
    )

    slo: Annotated[Seconds, Topic.PROMISE] = Field(
        1.0,
        gt=0,
        le=10 * MINUTE,
        description="every image is answered within this time of its last byte "
        "(a client may name a deadline of its own)",
    )

    max_queue: Annotated[Count, Topic.LIMITS] = Field(1024, ge=1, description="images that may wait for a worker")
    max_image_bytes: Annotated[Bytes, Topic.LIMITS] = Field(20 * MB, ge=1, description="largest image, encoded")
    # CORRECTNESS: after max_image_bytes, since it is checked against it and fields are checked in this order.
    max_queue_bytes: Annotated[Bytes, Topic.LIMITS, Words(rule="not below max_image_bytes")] = Field(
        256 * MB, ge=1, description="encoded bytes held for all images, each from its admission to its answer"
    )
    max_pixels: Annotated[Pixels, Topic.LIMITS] = Field(
        52_000_000, ge=1, description="largest image, width times height"
    )
    upload_timeout: Annotated[Seconds, Topic.LIMITS] = Field(
        30.0, gt=0, le=24 * HOUR, description="time within which the whole body must arrive"
    )

    min_upload_rate: Annotated[Bytes, Topic.LIMITS] = Field(
        1000, ge=1, description="bytes a second that a body must bring, on average, after its first five seconds"
    )
    max_connections: Annotated[Count, Topic.LIMITS] = Field(
        10_000, ge=1, description="open connections (fewer where the system allows fewer open files)"
    )

    max_worker_growth: Annotated[Bytes, Topic.LIMITS] = Field(
        1000 * MB, ge=1, description="memory by which a worker may outgrow its start before it is replaced"
    )

    keep_alive: Annotated[Seconds, Topic.LIFE] = Field(
        75.0, gt=0, le=24 * HOUR, description="time an idle connection is kept open"
    )
    drain_delay: Annotated[Seconds, Topic.LIFE] = Field(
        5.0, ge=0, le=24 * HOUR, description="time after SIGTERM in which it is not ready but still serves"
    )
    shutdown_timeout: Annotated[Seconds, Topic.LIFE] = Field(
        30.0, gt=0, le=24 * HOUR, description="time after SIGTERM by which everything has ended"
    )

    access_log: Annotated[OnOff, Topic.LOGS] = Field(
        default=False, description="log every request, not only what goes wrong"
    )

    @field_validator("max_queue_bytes")
    @classmethod
    def _one_image_fits(cls, value: int, info: ValidationInfo) -> int:
        """Refuse a budget in which the largest allowed image would never fit."""
        largest = info.data.get("max_image_bytes", 0)  # absent when it is itself wrong
        if value < largest:
            raise ValueError(f"max_image_bytes is {SIZE.show(largest)}")
        return value

    @property
    def profile_folder(self) -> Path:
        """`profile_dir`, or where it is if nobody says."""
        return self.profile_dir or Path(os.path.expanduser("~/.cache/tureen"))
