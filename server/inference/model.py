"""A model ready to serve: opened, warmed, and all about it decided."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isinf
from pathlib import Path
from typing import Literal, TypedDict

from batcher.scheduling.batch_profile import BatchProfile
from server.contract.ids import content_hash
from server.contract.metadata import ModelMetadata
from server.inference.configurations import baseline, configurations, first_to_open
from server.inference.independence import check_alone, dependence
from server.inference.onnx.providers import Gpu, Provider
from server.inference.onnx.session import Outputs, Session
from server.inference.onnx.sizes import filled_up
from server.inference.pictures import soft_pictures
from server.inference.warmup import Warmth, look, look_together, seen_in, warm_up
from server.models.agreement import TOLERANCE, disagreement
from server.models.card import Card, Located
from server.models.doubts import doubts_of, saturated
from server.models.errors import ModelError
from server.models.fp16 import in_half_precision
from server.models.output_kind import describe, resolve
from server.models.output_spec import Output
from server.models.render import Row
from server.models.signature import batched, led

Precision = Literal["model", "fp16"]


@dataclass(frozen=True, slots=True)
class Model:
    """`output` is the card's with nothing left open."""

    file: Path
    card: Card
    session: Session
    warmth: Warmth
    output: Output
    deviation: float | None = None
    """Where it is computed in float16: how far that was from float32, as a part of the largest value."""
    fallback_reason: str = ""
    """Why the fastest way to use the GPU was not taken, if it was not."""
    warnings: tuple[str, ...] = ()
    """What the operator should look into: a card that is likely to be wrong, batches that cannot be used."""
    separate: str = ""
    """Why images are run one at a time, where batches could be expected."""

    def notes(self) -> tuple[str, ...]:
        """How its input gets there and is computed, where that is not plain, for people."""
        alone = f"one image at a time: {self.separate}" if self.separate else ""
        within = "" if self.deviation is None else f"computed in float16, {self.deviation:.2%} from float32"
        slower = f"slower than it might be: {self.fallback_reason}" if self.fallback_reason else ""
        return tuple(filter(None, (self.session.way, alone, within, slower)))

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

    On a GPU the fastest way is tried first, and has to answer as the model does when ONNX Runtime is told nothing; so
    has float16.
    """
    how: _How = {"provider": provider, "gpu": gpu or Gpu(), "threads": threads}
    if provider == "cpu" and precision == "model":
        return warmed(located, Session(located.model_file, located.card, max_batch, decoders=decoders, **how))
    plain = baseline(how["gpu"])
    rows, output = _as_it_is(located, {**how, "gpu": plain})
    located = replace(located, card=replace(located.card, output=output))  # so that nothing is decided anew
    source = in_half_precision(located.model_file) if precision == "fp16" else located.model_file

    tried = configurations(how["gpu"]) if provider == "cuda" else [how["gpu"]]

    def opened(configuration: Gpu) -> Model:
        session = Session(source, located.card, max_batch, provider, configuration, decoders=decoders, threads=threads)
        if precision == "model" and configuration == plain:
            return warmed(located, session)  # as `rows` were made, if it answers the same each time at all
        last = configuration == tried[-1]
        deviation = _deviation(rows, _first(look(session)), output, precision, last=last)
        model = warmed(located, session)
        if model.separate and not last and not session.whole:
            raise ModelError(f"run so, {model.separate}")
        if session.max_batch > 1:  # what a device takes for a larger batch is other code
            together = _deviation(rows, look_together(session), output, precision, last=last)
            deviation = max(deviation, together)
        return replace(model, deviation=deviation if precision == "fp16" else None)

    model, fallback_reason = first_to_open(tried, opened)
    return replace(model, fallback_reason=fallback_reason)


class _How(TypedDict):
    provider: Provider
    gpu: Gpu
    threads: int


def _as_it_is(located: Located, how: _How) -> tuple[list[Row], Output]:
    """What it makes of the warm-up's pictures with nothing done to it, and what is made of its outputs. It is closed
    again."""
    session = Session(located.model_file, located.card, 1, **how)
    outputs = look(session)
    return _first(outputs), resolve(located.card.output, seen_in(session, outputs))


def _deviation(rows: Sequence[Row], got: Sequence[Row], output: Output, precision: Precision, *, last: bool) -> float:
    """How far `got` is from `rows`. Raises `ModelError` if that is too far; `last`: and nothing else is left to try."""
    deviation, name = disagreement(rows, got, output)
    if deviation <= TOLERANCE:
        return deviation
    where = "in float16" if precision == "fp16" else "run so,"
    advice = ": start with --precision model" if last else ""
    off = "out of all bounds" if isinf(deviation) else f"off by {deviation:.1%}"
    raise ModelError(
        f"{where} its output {name!r} is {off}, where {TOLERANCE:.0%} of the largest value is allowed{advice}"
    )


def _first(outputs: Sequence[Outputs]) -> list[Row]:
    """The one row of each batch."""
    return [[part[0] for part in batch] for batch in outputs]


def warmed(located: Located, session: Session) -> Model:
    """The model that was opened as `session`, warmed up. Raises `ModelError`."""
    warmth = warm_up(session)
    output = resolve(located.card.output, warmth.seen)
    warnings = tuple(_doubts(session, output)) if located.card.input.given else ()
    model = Model(located.model_file, located.card, session, warmth, output, warnings=warnings)
    check_alone(session, output, warmth.alone)
    if session.whole:
        return replace(model, separate="its outputs are not led by the batch")
    if warmth.held and session.max_batch == 1:
        return _separated(model, warmth.held)
    if warmth.held:
        model = _warned(model, f"at most {session.max_batch} images are run together: {warmth.held}")
    return _if_dependent(model)


def _if_dependent(model: Model) -> Model:
    """The model run one image at a time, if the images of its batches depend on each other."""
    why = dependence(model.session, model.output, model.warmth.alone, model.warmth.batch)
    return _separated(model, why) if why else model


def _separated(model: Model, why: str) -> Model:
    """The model with images run one at a time, and the operator told so."""
    model.session.run_one_at_a_time()
    profile = BatchProfile()
    profile.observe(1, model.warmth.profile.seconds(1) or 0.0)
    model = _warned(model, f"images are run one at a time: {why}; was the model exported with a batch, for inference?")
    return replace(model, warmth=replace(model.warmth, profile=profile, batch=1), separate=why)


def _warned(model: Model, warning: str) -> Model:
    return replace(model, warnings=(*model.warnings, warning))


def _doubts(session: Session, output: Output) -> list[str]:
    """What is doubtful about the card's normalisation. Leaves the slots empty."""
    if found := doubts_of(session.recipe):
        return found
    try:
        return saturated(session.recipe, _first(look(session, soft_pictures())), output)
    finally:
        session.slots[:] = 0


def with_batch(model: Model, batch: int) -> Model:
    """The model with batches of `batch` images, if it can run them; 0 keeps the size that warming up found. What
    larger ones have on a device is given back."""
    if batch:
        found = model.warmth.batch
        model = replace(model, warmth=replace(model.warmth, batch=min(batch, model.session.max_batch)))
        if model.warmth.batch > found:
            model = _if_dependent(model)
    model.session.limit(filled_up(model.warmth.batch, model.session.sizes))
    return model


_LABEL_BYTES = 32 * 1024  # of all labels: they go into one frame's header


def _labels(output: Output) -> tuple[str, ...]:
    labels = output.labels if output.kind == "classes" else None
    return labels if labels and sum(len(label.encode()) + 4 for label in labels) <= _LABEL_BYTES else ()


def metadata(model: Model, digest: str) -> ModelMetadata:
    """What the model is to those who ask it."""
    return ModelMetadata(
        name=model.card.name,
        version=model.card.version,
        digest=digest,
        recipe=content_hash(repr((model.session.slot_recipe, model.output, model.deviation is None)).encode()),
        prepares=content_hash(repr(model.session.slot_recipe).encode()),
        provider=model.session.provider,
        inputs=(batched(model.session.input).spec,),
        outputs=tuple((led(tensor) if model.session.whole else tensor).spec for tensor in model.session.outputs),
        answer=model.describe(),
        labels=_labels(model.output),
        notes=model.notes(),
        warnings=model.warnings,
    )
