"""A model ready to serve: opened, warmed, and all about it decided."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isinf
from pathlib import Path
from typing import Literal, TypedDict

from server.inference.agreement import TOLERANCE, disagreement
from server.inference.answer import Row
from server.inference.card import Card, Located
from server.inference.errors import ModelError
from server.inference.half import in_half_precision
from server.inference.output import Output
from server.inference.providers import Gpu, Provider
from server.inference.served import describe, resolve
from server.inference.session import Outputs, Session
from server.inference.warmup import Warmth, look, seen_in, warm_up

Precision = Literal["model", "fp16"]


@dataclass(frozen=True, slots=True)
class Model:
    """`output` is the card's with nothing left open."""

    file: Path
    card: Card
    session: Session
    warmth: Warmth
    output: Output
    apart: float | None = None
    """Where it is computed in float16: how far that was from float32, as a part of the largest value."""
    unrecorded: str = ""
    """Why it could not be recorded as CUDA graphs, if it was tried."""

    def describe_input(self) -> str:
        """What it takes, and how that gets there and is computed."""
        within = "" if self.apart is None else f"; computed in float16, {self.apart:.2%} from float32"
        recorded = f"; not recorded as CUDA graphs: {self.unrecorded}" if self.unrecorded else ""
        return self.session.describe_input() + within + recorded

    def describe(self) -> str:
        """What is made of its output, in a few words."""
        return describe(self.output, self.warmth.seen)


def open_model(
    located: Located,
    max_batch: int,
    provider: Provider = "cpu",
    gpu: Gpu | None = None,
    *,
    decoders: int = 1,
    threads: int = 1,
    precision: Precision = "model",
) -> Model:
    """Open a model and warm it up. `decoders` decode beside a GPU, `threads` run it on a CPU. `precision`: as its file
    is, or converted to float16. Raises `ModelError`.

    Where CUDA graphs are to be recorded and this model's cannot be, or answer otherwise than it does, it is opened
    without.
    """
    gpu = gpu or Gpu()
    how: _How = {"provider": provider, "gpu": gpu, "threads": threads}
    opened = _in_half if precision == "fp16" else _in_its_types
    unrecorded = ""
    if gpu.graphs:
        try:
            return opened(located, max_batch, decoders, how)
        except ModelError as error:
            unrecorded = str(error)
    how["gpu"] = replace(gpu, graphs=False)
    return replace(opened(located, max_batch, decoders, how), unrecorded=unrecorded)


class _How(TypedDict):
    provider: Provider
    gpu: Gpu
    threads: int


def _in_its_types(located: Located, max_batch: int, decoders: int, how: _How) -> Model:
    session = Session(located.model_file, located.card, max_batch, decoders=decoders, **how)
    if session.recorded:
        _check_recorded(session, located.card.output)
    return warmed(located, session)


def _check_recorded(session: Session, output: Output) -> None:
    """What is replayed answers as the model does. Raises `ModelError`."""
    with session.as_it_is():
        outputs = look(session)
    apart, name = disagreement(_first(outputs), _first(look(session)), resolve(output, seen_in(session, outputs)))
    if apart > TOLERANCE:
        raise ModelError(f"replayed, its output {name!r} is {_off(apart)}")


def _off(apart: float) -> str:
    return "out of all bounds" if isinf(apart) else f"off by {apart:.1%}"


def _in_half(located: Located, max_batch: int, decoders: int, how: _How) -> Model:
    """The model in float16, if what it answers is what it answers in float32. Raises `ModelError`."""
    rows, output = _in_full(located, how)
    card = replace(located.card, output=output)  # with nothing left open: float16 decides nothing anew
    session = Session(in_half_precision(located.model_file), card, max_batch, decoders=decoders, **how)
    apart, name = disagreement(rows, _first(look(session)), output)
    if apart > TOLERANCE:
        raise ModelError(
            f"in float16 its output {name!r} is {_off(apart)}, where"
            f" {TOLERANCE:.0%} of the largest value is allowed: start with --precision model"
        )
    return replace(warmed(replace(located, card=card), session), apart=apart)


def _in_full(located: Located, how: _How) -> tuple[list[Row], Output]:
    """What it makes of the warm-up's pictures as it is, and what is made of its outputs. It is closed again."""
    gpu = replace(how["gpu"], graphs=False)  # to record it for five pictures would be waste
    session = Session(located.model_file, located.card, 1, how["provider"], gpu, threads=how["threads"])
    outputs = look(session)
    return _first(outputs), resolve(located.card.output, seen_in(session, outputs))


def _first(outputs: Sequence[Outputs]) -> list[Row]:
    """The one row of each batch."""
    return [[part[0] for part in batch] for batch in outputs]


def warmed(located: Located, session: Session) -> Model:
    """The model that was opened as `session`, warmed up. Raises `ModelError`."""
    warmth = warm_up(session)
    output = resolve(located.card.output, warmth.seen)
    return Model(located.model_file, located.card, session, warmth, output)


def with_batch(model: Model, batch: int) -> Model:
    """The model with batches of so many images, as far as it can run them; 0 leaves it as it is."""
    if not batch:
        return model
    return replace(model, warmth=replace(model.warmth, batch=min(batch, model.session.max_batch)))
