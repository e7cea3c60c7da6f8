"""A model ready to serve: opened, warmed, and all about it decided."""

from dataclasses import dataclass, replace
from pathlib import Path

from server.inference.card import Card, Located
from server.inference.output import Output
from server.inference.providers import Gpu, Provider
from server.inference.served import describe, resolve
from server.inference.session import Session
from server.inference.warmup import Warmth, warm_up


@dataclass(frozen=True, slots=True)
class Model:
    """`output` is the card's with nothing left open."""

    file: Path
    card: Card
    session: Session
    warmth: Warmth
    output: Output

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
) -> Model:
    """Open a model and warm it up. `decoders` decode beside a GPU, `threads` run it on a CPU. Raises `ModelError`."""
    session = Session(located.model_file, located.card, max_batch, provider, gpu, decoders=decoders, threads=threads)
    return warmed(located, session)


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
