"""The model in ONNX Runtime: its slots filled, its batches run, on a CPU or on a device."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from server.inference.onnx.cpu_run import PlainRun
from server.inference.onnx.feed import Feed
from server.inference.onnx.io_binding import BoundRun, Device, Graphs
from server.inference.onnx.normaliser import head_for, needs_head, pixels_of
from server.inference.onnx.providers import Gpu, Provider, open_session
from server.inference.onnx.sizes import buckets, every_size, filled_up, slots_beside
from server.inference.onnx.slab import Slab
from server.models.card import Card
from server.models.constants import constants_for
from server.models.errors import OutputError
from server.models.signature import (
    Signature,
    Tensor,
    batched,
    chosen_outputs,
    fixed_batch,
    image_input,
    recipe_for,
)

Outputs = tuple[NDArray[Any], ...]  # one array an output, one row an image


class Run(Protocol):
    """How a batch gets from the slots through the model."""

    slots: NDArray[Any]
    way: str
    """How, in a few words, where it is not plain."""

    def run(self, slots: Sequence[int], size: int) -> Sequence[Any]:
        """The outputs of a batch of `size` that begins with these slots. Raises what ONNX Runtime raises."""

    def limit(self, size: int) -> None:
        """No larger batch will come."""

    def take_whole(self) -> None:
        """Outputs may be of any shape from now on."""


class Session:
    """One model; one thread runs it. `slots` are what images are decoded into, as `slot_recipe` says; `run` takes any
    of them.

    `sizes` are the batch sizes it is run with; a batch of another is filled up with what stands in slots
    beside it, whose rows are then left out.
    """

    def __init__(
        self,
        model: Path | bytes,
        card: Card,
        max_batch: int,
        provider: Provider = "cpu",
        gpu: Gpu | None = None,
        *,
        pipelined: bool | None = None,
        bound: bool | None = None,
        decoders: int = 1,
        threads: int = 1,
    ) -> None:
        """`pipelined`: for an engine that decodes in `decoders` threads while the model runs, with few batch sizes
        and more slots. `bound`: over tensors that stay on the device, to which pictures go as bytes. Both by default
        on GPUs. `threads`: how many run the model on a CPU.

        `model`: its file, or what would be in one.

        Raises `ModelError` if ONNX Runtime or Tureen cannot serve this model.
        """
        begun = time.monotonic()
        gpu = gpu or Gpu()
        self._session = open_session(model, provider, gpu, threads)
        self.open_s = time.monotonic() - begun
        self.signature = _signature(self._session)
        self.input = image_input(self.signature, card.input.constants)
        given = batched(self.input)
        self.recipe = recipe_for(given, card.input)
        constants = constants_for(self.signature.inputs, card.input.constants)
        self._feed = Feed(given.name, constants, bare=given is not self.input)
        self.bound = (provider == "cuda" if bound is None else bound) and given is self.input
        self.recorded = self.bound and provider == "cuda" and gpu.graphs
        self.whole = False
        """Whether outputs are one image's as a whole: their first dimension is not the batch."""
        self.outputs = chosen_outputs(self.signature, card.output)
        self.provider: str = self._session.get_providers()[0]
        self.pipelined = provider == "cuda" if pipelined is None else pipelined
        self.fixed = fixed_batch(given)
        self.sizes = self._sizes(max_batch)
        self._another: Callable[[], ort.InferenceSession] | None = None
        if self.bound and provider == "cuda" and not gpu.graphs and not self.fixed:  # see io_binding.py
            self._another = partial(open_session, model, provider, _share(gpu, len(self.sizes)), threads)
        self.max_batch = min(self.sizes[-1], max_batch)
        self.slot_recipe = pixels_of(self.recipe) if self.bound else self.recipe
        self._slab = slab = Slab(self._slots(decoders), self.sizes[-1], self.slot_recipe)
        slab.clean = self.max_batch == 1
        self._run = self._bound(slab, provider, gpu, threads) if self.bound else self._plain(slab)
        self.slots = self._run.slots

    @property
    def way(self) -> str:
        """How the model's input gets to it, in a few words; empty where that is plain."""
        return self._run.way

    @property
    def any_size(self) -> bool:
        """Whether a batch of any size is run as it is, none filled up."""
        return not self.pipelined and self.fixed is None

    def inputs_of(self, batch: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """All of the model's inputs for a batch of prepared images: `batch`, and the card's constants."""
        return self._feed.inputs(batch)

    def limit(self, size: int) -> None:
        """From now on no batch larger than `size`, one of `sizes`, is run."""
        self.sizes = tuple(each for each in self.sizes if each <= size)
        self.max_batch = min(self.max_batch, size)
        self._run.limit(size)

    def run_one_at_a_time(self) -> None:
        """From now on images are run one at a time; where the batch is fixed to more, the others are zeros."""
        self._slab.clean = True
        self.max_batch = 1
        if not self.fixed:
            self.limit(1)

    def take_whole(self) -> None:
        """From now on images are run one at a time, and the outputs of a run are that image's as a whole: their first
        dimension need not be the batch."""
        self.whole = True
        self._run.take_whole()
        self.run_one_at_a_time()

    def run_alone(self, slot: int) -> Outputs:
        """The output row of this slot, whatever stands in the others. Raises as `run`."""
        before, self._slab.clean = self._slab.clean, True
        try:
            return self.run([slot])
        finally:
            self._slab.clean = before

    def run(self, slots: Sequence[int]) -> Outputs:
        """The output rows of these slots, at most `max_batch`, in their order; shape `(len(slots), ...)` each.

        Raises `OutputError`, or whatever ONNX Runtime raises if the model fails.
        """
        size = filled_up(len(slots), self.sizes)
        outputs = self._run.run(slots, size)
        if self.whole:
            return tuple(np.asarray(output)[np.newaxis] for output in outputs)
        return tuple(
            _rows(tensor, output, size)[: len(slots)] for tensor, output in zip(self.outputs, outputs, strict=True)
        )

    def _plain(self, slab: Slab) -> Run:
        return PlainRun(self._session, self._feed, [tensor.name for tensor in self.outputs], slab)

    def _bound(self, slab: Slab, provider: Provider, gpu: Gpu, threads: int) -> Run:
        head = open_session(head_for(self.recipe), provider, gpu, threads) if needs_head(self.recipe) else None
        graphs = Graphs(self._models(), head, self.recipe, self._feed, self.outputs, self.recorded)
        return BoundRun(graphs, slab, Device(provider, gpu.index if provider == "cuda" else 0))

    def _models(self) -> Callable[[], ort.InferenceSession]:
        """Gives the session for one batch size after another."""
        # CORRECTNESS: it does not hold `self`, which holds it. A model that is given up has to leave the device's
        # memory at once, since the next way of running it is about to ask for that.
        session, another, first = self._session, self._another, [self._session]
        return lambda: first.pop() if first else another() if another else session

    def _slots(self, decoders: int) -> int:
        return slots_beside(self.sizes[-1], decoders) if self.pipelined else self.sizes[-1]

    def _sizes(self, max_batch: int) -> tuple[int, ...]:
        if self.fixed:
            return (self.fixed,)
        return buckets(max_batch) if self.pipelined else every_size(max_batch)


def _share(gpu: Gpu, sessions: int) -> Gpu:
    """The part of the GPU memory that each of `sessions` may use. The first one may use all: it runs one image, which
    takes the least."""
    return replace(gpu, memory_limit=gpu.memory_limit // sessions)


def _signature(session: ort.InferenceSession) -> Signature:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    return Signature(tuple(map(_tensor, inputs)), tuple(map(_tensor, outputs)))


def _tensor(arg: ort.NodeArg) -> Tensor:
    return Tensor(arg.name, arg.type, tuple(arg.shape or ()))


def _rows(tensor: Tensor, output: object, size: int) -> NDArray[Any]:
    if not isinstance(output, np.ndarray) or output.shape[:1] != (size,):
        shape = getattr(output, "shape", None)
        raise OutputError(f"{size} images gave an output {tensor.name!r} of shape {shape}")
    return output
