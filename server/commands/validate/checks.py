"""What each check of a model finds, from values: no file is read and no model run here. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from server.commands.replay.compare import same
from server.repository.golden import Golden, Members, difference

Outcome = Literal["pass", "warn", "fail"]
Name = Literal["files", "size", "open", "card", "golden", "contract", "agreement", "latency"]

_NAMED = 3  # images that a line names


class Check(msgspec.Struct, frozen=True):
    """One line of the report. `figures`: what was measured, and the limit it was judged by."""

    check: Name
    outcome: Outcome
    found: str
    figures: Mapping[str, Any] = {}


class Report(msgspec.Struct, frozen=True):
    """All of it. `model`: name and version."""

    model: str
    digest: str
    valid: bool
    checks: Sequence[Check]


def of_size(size: int, most: int | None) -> Check:
    """Bytes of the model with its weights; `most` None is no limit."""
    figures = {"bytes": size, "most_bytes": most}
    if most is None or size <= most:
        limit = "" if most is None else f", at most {most / 1e6:,.1f} MB"
        return Check("size", "pass", f"{size / 1e6:,.1f} MB{limit}", figures)
    return Check("size", "fail", f"{size / 1e6:,.1f} MB, at most {most / 1e6:,.1f} MB are allowed", figures)


def of_card(warnings: Sequence[str]) -> Check:
    """`warnings`: what the model's worker says that an operator should look into."""
    if warnings:
        return Check("card", "warn", "; ".join(warnings), {"warnings": list(warnings)})
    return Check("card", "pass", "nothing is doubtful")


def of_golden(golden: Golden | None, answers: Mapping[str, Members | str]) -> Check:
    """`answers`: by the image's name; a text says why there is none."""
    if golden is None or not golden.images:
        return Check("golden", "warn", "there are no golden images: tureen models golden record", {"images": 0})
    wrong = {}
    for name, expected in golden.images.items():
        got = answers.get(name, "it is missing")
        if found := got if isinstance(got, str) else difference(expected, got, golden.tolerance):
            wrong[name] = found
    figures = {"images": len(golden.images), "wrong": wrong, "tolerance": golden.tolerance}
    if wrong:
        return Check("golden", "fail", f"{len(wrong)} of {len(golden.images)} are wrong: {_some(wrong)}", figures)
    return Check("golden", "pass", f"{len(golden.images)} answers within {golden.tolerance:g}", figures)


def of_agreement(before: Mapping[str, Members | str], after: Mapping[str, Members | str], least: float) -> Check:
    """`before`, `after`: the answers of both versions, by image. Where only one answers, they differ."""
    if not before:
        return Check("agreement", "fail", "there are no images to compare: give --images", {"images": 0})
    changed = {name: _change(old, after[name]) for name, old in before.items() if not _alike(old, after[name])}
    share = 1 - len(changed) / len(before)
    figures = {"images": len(before), "share": round(share, 6), "least": least, "changed": changed}
    words = f"{share:.1%} of {len(before)} images are answered alike, at least {least:.1%} must be"
    if share < least:
        return Check("agreement", "fail", f"{words}: {_some(changed)}", figures)
    return Check("agreement", "pass", words, figures)


def of_latency(seconds: Sequence[float], budget_s: float) -> Check:
    """`seconds`: what decoding and running each image took, one after the other. 95 % must be within the budget."""
    if not seconds:
        return Check("latency", "fail", "no image was answered", {"images": 0})
    ordered = sorted(seconds)
    median, high = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    figures = {"images": len(ordered), "p50_ms": round(median * 1e3, 3), "p95_ms": round(high * 1e3, 3)}
    words = f"p50 {median * 1e3:.3g} ms, p95 {high * 1e3:.3g} ms, budget {budget_s * 1e3:g} ms"
    return Check(
        "latency", "pass" if high <= budget_s else "fail", words, figures | {"budget_ms": round(budget_s * 1e3, 3)}
    )


def is_valid(checks: Sequence[Check], *, strict: bool) -> bool:
    """Whether nothing failed; `strict`: and nothing was warned of."""
    return not any(check.outcome == "fail" or (strict and check.outcome == "warn") for check in checks)


def _alike(old: Members | str, new: Members | str) -> bool:
    if isinstance(old, str) or isinstance(new, str):
        return old == new
    return same(old, new)


def _change(old: Members | str, new: Members | str) -> str:
    return f"{_brief(old)} -> {_brief(new)}"


def _brief(answer: Members | str) -> str:
    if isinstance(answer, str):
        return answer
    best = answer.get("predictions") or [{"label": answer.get("label") or answer.get("score", "raw outputs")}]
    return str(best[0]["label"])


def _some(of: Mapping[str, str]) -> str:
    named = [f"{name}: {text}" for name, text in list(of.items())[:_NAMED]]
    return "; ".join(named) + (f"; and {len(of) - _NAMED} more" if len(of) > _NAMED else "")
