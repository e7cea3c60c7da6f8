"""Runs a model as it would be served, and has it answer images one after the other."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from batcher import BatcherError
from preprocess.errors import ImageError
from preprocess.header import read_header
from server.contract.errors import TaskError
from server.contract.metadata import ModelMetadata
from server.contract.task import ImageTask
from server.engine import Engine
from server.settings import Settings
from server.settings.topics import WorkerSettings

_DEADLINE_S = 60.0
_LEAST_TIMED = 40  # answers


@dataclass(frozen=True, slots=True)
class Ran:
    """What a model answered. `answers`: by the image's name; a text says why there is none."""

    metadata: ModelMetadata
    slo_s: float
    answers: Mapping[str, dict[str, Any] | str]
    seconds: Sequence[float] = field(default=())


async def run(model: Path, images: Mapping[str, bytes], filler: bytes, *, timed: bool) -> Ran:
    """Answer each image once; `timed`: and some again, until there are enough times. `filler`: what is timed where
    there are no images.

    `model`: absolute. Raises `EngineFailed`. Cancellation: ends the worker.
    """
    settings = Settings(model=model, worker=WorkerSettings(workers=1, threads=1))
    async with Engine(settings) as engine:
        metadata = await engine.wait_ready()
        slo_s = engine.slo_s
        answers = {name: (await _answer(engine, body))[0] for name, body in images.items()}
        seconds = await _times(engine, [*images.values()] or [filler]) if timed else ()
        return Ran(metadata, slo_s, answers, seconds)


async def _times(engine: Engine, images: Sequence[bytes]) -> Sequence[float]:
    count = max(_LEAST_TIMED, len(images))
    found = [(await _answer(engine, images[number % len(images)]))[1] for number in range(count)]
    return [seconds for seconds in found if seconds is not None]


async def _answer(engine: Engine, body: bytes) -> tuple[dict[str, Any] | str, float | None]:
    """The members and the seconds of decoding and running; or a reason and None."""
    try:
        task = ImageTask(body, read_header(body, engine.limits))
        reply = (await engine.submit(task, time.monotonic() + _DEADLINE_S, reuse="never")).reply
    except ImageError as error:
        return error.code, None
    except (BatcherError, TaskError) as error:
        return str(error) or type(error).__name__, None
    return msgspec.json.decode(b"{%b}" % reply.members, type=dict[str, Any]), reply.decode_s + reply.infer_s
