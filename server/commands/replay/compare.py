"""What two models answered to the same images, compared. Pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

_CLOSE = 1e-4  # relative: less is rounding


class Verdict(msgspec.Struct, frozen=True):
    """What an answer comes down to. `label`: the best class, or the level of the score; "" if there is none."""

    label: str = ""
    score: float | None = None


class Compared(msgspec.Struct, frozen=True):
    """One image. `original`: its name in the store. `error`: the code of why it was not answered, or ""."""

    id: str
    original: str
    before: Verdict
    after: Verdict = Verdict()
    same: bool = False
    error: str = ""
    seconds: float = 0.0
    """Its decoding and its share of the model's run."""


class Summary(msgspec.Struct, frozen=True):
    """The whole. Milliseconds."""

    images: int
    same: int
    changed: int
    failed: Mapping[str, int]
    agreement: float | None
    """Of those answered; None if none were."""
    mean_score_difference: float | None
    """After less before, of those that have a score in both."""
    largest_score_difference: float | None
    p50_ms: float | None
    p99_ms: float | None
    moves: Sequence[tuple[str, str, int]]
    """Label before, label after, how often: the most frequent first."""


def verdict(answer: Mapping[str, Any]) -> Verdict:
    """Of the members of an answer as they are stored."""
    best = answer.get("predictions") or ()
    label = answer.get("label") or (best[0]["label"] if best else "")
    score = answer.get("score")
    return Verdict(str(label), float(score) if isinstance(score, int | float) else None)


def same(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether both answers mean the same: the same label, or where there are none, the same figures."""
    one, other = verdict(before), verdict(after)
    if one.label or other.label:
        return one.label == other.label
    if one.score is not None and other.score is not None:
        return math.isclose(one.score, other.score, rel_tol=_CLOSE)
    return before == after


def summary(rows: Sequence[Compared]) -> Summary:
    """The figures of all rows."""
    answered = [row for row in rows if not row.error]
    agreeing = sum(row.same for row in answered)
    differences = [
        row.after.score - row.before.score
        for row in answered
        if row.after.score is not None and row.before.score is not None
    ]
    times = sorted(row.seconds * 1e3 for row in answered)
    moves = Counter((row.before.label, row.after.label) for row in answered if not row.same and row.after.label)
    return Summary(
        images=len(rows),
        same=agreeing,
        changed=len(answered) - agreeing,
        failed=dict(Counter(row.error for row in rows if row.error)),
        agreement=agreeing / len(answered) if answered else None,
        mean_score_difference=math.fsum(differences) / len(differences) if differences else None,
        largest_score_difference=max(differences, key=abs) if differences else None,
        p50_ms=_quantile(times, 0.5),
        p99_ms=_quantile(times, 0.99),
        moves=[(*pair, count) for pair, count in moves.most_common()],
    )


def _quantile(ordered: Sequence[float], q: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else None
