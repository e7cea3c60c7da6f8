"""Whether a rewritten model may be written: enough agreement, shown on enough pictures. Pure."""

import math
from dataclasses import dataclass
from typing import Literal

from server.optimize.agreement import Agreement
from server.statistics.exact import lower_bound, most_misses, trials_needed

Outcome = Literal["passed", "missed", "too few"]

CALIBRATION_SHARE, MOST_CALIBRATION = 1 / 3, 200  # source pictures; the others are held out


@dataclass(frozen=True, slots=True)
class Verdict:
    """`needed`: held-out source pictures, where there were too few; None if no number is enough."""

    outcome: Outcome
    reason: str
    needed: int | None = None

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"


def judge(found: Agreement, least: float) -> Verdict:
    """The verdict on an agreement seen on held-out pictures. `least`: what is asked for, 0 to 1.

    More pictures help where the share is above `least` and only the bound is below.
    """
    seen = f"{found.agreeing:,} of {found.sources:,} held-out pictures agree"
    if found.sources and found.bound >= least:
        return Verdict("passed", f"{seen}; at least {found.bound:.2%} with 95 % confidence, {least:.4g} is asked for")
    needed = trials_needed(found.share if found.sources else 1.0, least) or trials_needed(1.0, least)
    if needed is None or needed <= found.sources:
        return Verdict("missed", f"{seen}, which is {found.share:.2%}; {least:.2%} is asked for")
    return Verdict(
        "too few",
        f"{seen}, but so few show only {found.bound:.2%} with 95 % confidence; {least:.2%} needs {needed:,} held-out"
        f" pictures at this rate, {with_calibration(needed):,} with those to calibrate",
        needed,
    )


def too_few(sources: int, least: float) -> str:
    """Why so many source pictures cannot show that share, whatever the answers, and what to do; "" if they can."""
    held_out, needed = sources - calibration_count(sources), trials_needed(1.0, least) or 1
    if held_out >= needed:
        return ""
    possible = math.floor(lower_bound(held_out, held_out) * 1000) / 1000
    return (
        f"{sources:,} pictures are too few: {held_out:,} of them are held out, and {least:.4g} agreement takes"
        f" {needed:,} to be shown with 95 % confidence. Give at least {with_calibration(needed):,} pictures,"
        f" or ask for at most --agree {possible}"
    )


def least_share(held_out: int, least: float) -> float | None:
    """What share of so many held-out pictures has to agree; None if there are too few for any."""
    misses = most_misses(held_out, least)
    return None if misses is None else 1 - misses / held_out


def calibration_count(sources: int) -> int:
    """How many of the source pictures calibrate."""
    return min(MOST_CALIBRATION, max(1, int(sources * CALIBRATION_SHARE))) if sources > 1 else 0


def with_calibration(held_out: int) -> int:
    """Pictures in all, where so many have to be held out."""
    share = int(held_out / (1 - CALIBRATION_SHARE)) + 1
    return share if share - held_out < MOST_CALIBRATION else held_out + MOST_CALIBRATION
