"""What two models answer to the same images, compared image by image. Pure."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from server.models.agreement import disagreement
from server.models.output_spec import Output
from server.models.render import Row, as_answered
from server.statistics.exact import lower_bound

SCORE_TOLERANCE = 0.02  # of the spread of the original's scores, where no levels say what counts
RAW_TOLERANCE = 0.05  # of the largest value of an output, as `server.models.agreement` measures it


class Compared(msgspec.Struct, frozen=True):
    """One image. `before`, `after`: what the answers come down to. `top_k`: the share of the best classes that both
    name. `correlation`: Spearman's, of all values. `mean`, `largest`: the difference of the values as answered."""

    image: str
    source: str
    same: bool
    before: str
    after: str
    top_k: float = 1.0
    correlation: float = 1.0
    mean: float = 0.0
    largest: float = 0.0


class Agreement(msgspec.Struct, frozen=True):
    """Of many images. A source picture agrees if all its images do; `bound`: the lower 95 % bound of their share."""

    images: int
    sources: int
    agreeing: int
    """Source pictures."""
    bound: float
    same_images: float
    top_k: float
    correlation: float
    mean: float
    largest: float
    classes: Mapping[str, tuple[int, int]] = {}
    """Of each answer of the original: images that agree, and all."""

    @property
    def share(self) -> float:
        """Of the source pictures."""
        return self.agreeing / self.sources if self.sources else 0.0


def compare(
    images: Sequence[tuple[str, str]], before: Sequence[Row], after: Sequence[Row], output: Output
) -> list[Compared]:
    """One row per image. `images`: name and source. `output` is resolved."""
    spread = _spread(before, output)
    return [
        _one(name, source, one, other, output, spread)
        for (name, source), one, other in zip(images, before, after, strict=True)
    ]


def summary(rows: Sequence[Compared]) -> Agreement:
    """The figures of all rows."""
    sources: dict[str, bool] = {}
    classes: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        sources[row.source] = sources.get(row.source, True) and row.same
        classes[row.before].append(row.same)
    agreeing = sum(sources.values())
    return Agreement(
        images=len(rows),
        sources=len(sources),
        agreeing=agreeing,
        bound=lower_bound(agreeing, len(sources)),
        same_images=_mean([row.same for row in rows]),
        top_k=_mean([row.top_k for row in rows]),
        correlation=_mean([row.correlation for row in rows]),
        mean=_mean([row.mean for row in rows]),
        largest=max((row.largest for row in rows), default=0.0),
        classes={name: (sum(same), len(same)) for name, same in sorted(classes.items())},
    )


def most_different(rows: Sequence[Compared], count: int) -> list[Compared]:
    """Those that disagree first, then by the largest difference."""
    return sorted(rows, key=lambda row: (row.same, -row.largest, row.image))[:count]


def error_of(before: Sequence[Row], after: Sequence[Row]) -> float:
    """The squared difference of the outputs as a part of the squared outputs: 0 is the same, 1 is noise as large."""
    noise = signal = 0.0
    for one, other in zip(before, after, strict=True):
        for a, b in zip(one, other, strict=True):
            if a.shape != b.shape or not np.isfinite(b).all():
                return math.inf
            exact = a.astype(np.float64)
            noise += float(((b - exact) ** 2).sum())
            signal += float((exact**2).sum())
    return noise / signal if signal else (math.inf if noise else 0.0)


def _one(name: str, source: str, before: Row, after: Row, output: Output, spread: float) -> Compared:
    if output.kind == "raw":
        return _raw(name, source, before, after, output)
    (one,), (other,) = as_answered(output, before), as_answered(output, after)
    different = np.abs(one.astype(np.float64) - other)
    mean, largest = float(different.mean()), float(different.max())
    if not np.isfinite(other).all():
        return Compared(name, source, False, _best(one, output), "not finite", 0.0, 0.0, math.inf, math.inf)
    if output.kind == "score":
        levels = [_level(float(values[0]), output) for values in (one, other)]
        same = levels[0] == levels[1] if output.thresholds else largest <= SCORE_TOLERANCE * spread
        return Compared(name, source, same, levels[0], levels[1], mean=mean, largest=largest)
    best, then = _best(one, output), _best(other, output)
    k = min(output.top_k, one.size)
    kept = len({*_ranked(one)[:k]} & {*_ranked(other)[:k]}) / k
    return Compared(name, source, best == then, best, then, kept, _correlation(one, other), mean, largest)


def _raw(name: str, source: str, before: Row, after: Row, output: Output) -> Compared:
    apart, where = disagreement([before], [after], output)
    same = apart <= RAW_TOLERANCE
    return Compared(name, source, same, "", "" if same else f"{where} is off by {apart:.1%}", mean=apart, largest=apart)


def _spread(rows: Sequence[Row], output: Output) -> float:
    """Of the scores, without the outermost twentieths."""
    if output.kind != "score" or not rows:
        return 0.0
    scores = [float(as_answered(output, row)[0][0]) for row in rows]
    low, high = np.quantile(scores, (0.05, 0.95))
    return float(high - low) or abs(float(high))


def _level(score: float, output: Output) -> str:
    if not output.thresholds:
        return f"{score:.4g}"
    level = sum(score >= threshold for threshold in output.thresholds)
    return output.labels[level] if output.labels else str(level)


def _best(values: NDArray[Any], output: Output) -> str:
    best = int(values.argmax())
    return output.labels[best] if output.labels else str(best)


def _ranked(values: NDArray[Any]) -> list[int]:
    return [int(index) for index in np.argsort(-values, kind="stable")]


def _correlation(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Spearman's: Pearson's of the ranks."""
    if one.size < 2:
        return 1.0
    ranks = np.array([np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (one, other)])
    return float(np.asarray(np.corrcoef(ranks.astype(np.float64)))[0, 1])


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0
