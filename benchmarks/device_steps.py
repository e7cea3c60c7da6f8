"""The steps from a bare `session.run` to what a worker does on a device, each with the same model and pictures.

What a step adds shows beside the one before it. Each runs the same batch, alone, in one thread; what a server makes of
the last is measured elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.limits import Limits
from preprocess.recipe import Recipe
from preprocess.tensor import prepare
from server.inference.onnx.feed import Feed
from server.inference.onnx.io_binding import BoundRun, Device, Graphs
from server.inference.onnx.normaliser import head_for, needs_head, pixels_of
from server.inference.onnx.providers import Gpu, Provider, open_session
from server.inference.onnx.session import Session
from server.inference.onnx.slab import Slab
from server.models.card import find_model
from server.models.fp16 import in_half_precision
from server.models.signature import Tensor

BARE = "bare session.run"
_WARM_RUNS = 4  # a CUDA graph is recorded within the first
_WITHIN = 2e-2  # of the bare run's largest value: a GPU's kernels are not the same for each type and size


class Disagrees(Exception):
    """A step whose outputs are not those of the bare run: its rate would be no figure."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is run, and where. `index`: of the GPU. `half`: in float16 as well."""

    file: Path
    recipe: Recipe
    outputs: Sequence[Tensor]
    pictures: Sequence[bytes]
    batch: int
    provider: Provider
    index: int = 0
    half: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """`run` takes one batch through the model. `copies`: to the device, a batch. `sent`: bytes of an image there."""

    name: str
    run: Callable[[], Sequence[NDArray[Any]]]
    copies: int
    sent: int

    def rate(self, seconds: float, batch: int) -> float:
        """Images a second, over whole batches."""
        begun = now = time.monotonic()
        batches = 0
        while now < begun + seconds:
            self.run()
            now, batches = time.monotonic(), batches + 1
        return batch * batches / (now - begun)


def subject(
    model: Path, pictures: Sequence[bytes], batch: int, provider: Provider, index: int = 0, *, half: bool = False
) -> Subject:
    """A model as `tureen serve` takes it; a fixed batch is that of all. Raises `ModelError`."""
    found = find_model(model)
    opened = Session(found.model_file, found.card, batch)
    batch = opened.fixed or batch
    return Subject(found.model_file, opened.recipe, opened.outputs, pictures, batch, provider, index, half)


def steps(of: Subject) -> list[Step]:
    """All that can be run there, warmed. Raises `Disagrees`, and `ModelError` if it cannot be run there at all."""
    bare, *rest = list(_steps(of))
    expected = _warmed(bare)
    for step in rest:
        for one, other in zip(expected, _warmed(step), strict=True):
            if not _close(one.astype(float), other.astype(float)):
                raise Disagrees(f"{step.name}: its outputs are not those of the {BARE}")
    return [bare, *rest]


def _close(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return np.allclose(other, one, atol=_WITHIN * np.abs(one).max(initial=0.0), rtol=0.0)


def _steps(of: Subject) -> Iterator[Step]:
    yield _bare(of)
    yield _bound("+ IO binding", of, of.recipe)
    if needs_head(of.recipe):
        yield _bound("+ bytes", of, pixels_of(of.recipe))
    if of.provider == "cuda":  # pragma: no cover - needs a GPU
        yield _bound("+ CUDA graphs", of, pixels_of(of.recipe), Gpu(of.index, graphs=True))
        yield _bound("+ channels last", of, pixels_of(of.recipe), Gpu(of.index, graphs=True, channels_last=True))
    if of.half:
        fast = of.provider == "cuda"
        gpu = Gpu(of.index, graphs=fast, channels_last=fast)
        yield _bound("+ float16", of, pixels_of(of.recipe), gpu, half=True)


def _bare(of: Subject) -> Step:
    """As the documentation of ONNX Runtime begins: an array in, arrays out."""
    session = open_session(of.file, of.provider, Gpu(of.index))
    slots = _filled(of, of.recipe).slots
    given, wanted = session.get_inputs()[0].name, [tensor.name for tensor in of.outputs]
    return Step(BARE, lambda: session.run(wanted, {given: slots}), 1, slots[0].nbytes)


def _bound(name: str, of: Subject, slots: Recipe, gpu: Gpu | None = None, *, half: bool = False) -> Step:
    """The worker's own path. `slots`: what pictures are decoded into; what is missing from it, the head does."""
    gpu = gpu or Gpu(of.index)
    head = open_session(head_for(of.recipe), of.provider, gpu) if slots != of.recipe else None
    model = in_half_precision(of.file) if half else of.file
    opened = open_session(model, of.provider, gpu)
    feed = Feed(opened.get_inputs()[0].name, (), bare=False)
    sessions = Graphs(lambda: opened, head, of.recipe, feed, of.outputs, gpu.graphs)
    run = BoundRun(sessions, _filled(of, slots), Device(of.provider, of.index if of.provider == "cuda" else 0))
    order = range(of.batch)
    run.run(order, of.batch)
    return Step(name, lambda: run.run(order, of.batch), run.traffic.copies_in, run.traffic.bytes_in // of.batch)


def _filled(of: Subject, recipe: Recipe) -> Slab:
    slab = Slab(of.batch, of.batch, recipe)
    for number, slot in enumerate(slab.slots):
        prepare(of.pictures[number % len(of.pictures)], recipe, slot, Limits())
    return slab


def _warmed(step: Step) -> Sequence[NDArray[Any]]:
    return [step.run() for _ in range(_WARM_RUNS)][-1]
