"""What an optimisation found: kept beside the version as `report.json`, shown as a table and as a page. Values only."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from server.optimize.agreement import Agreement, Compared
from server.optimize.paired import Speed

FILE, PAGE = "report.json", "report.html"
ORIGINAL = "original"


class Step(msgspec.Struct, frozen=True):
    """One form of the model. `agreement`: with the original, on the calibration pictures. `error`: the squared
    difference of the outputs there, as a part of the squared outputs. `note`: why it is no choice."""

    name: str
    agreement: Agreement | None = None
    error: float | None = None
    speed: Speed | None = None
    note: str = ""


class Counts(msgspec.Struct, frozen=True):
    """Pictures. `sources`: that they were cut from."""

    found: int = 0
    sources: int = 0
    calibration: int = 0
    held_out: int = 0
    skipped: int = 0


class Report(msgspec.Struct, frozen=True):
    """`chosen`: the name of the step that is written, or "" with the `reason`. `held_out`: its agreement there.
    `different`: the pictures where it differs most. `layers`: the error that each layer alone does in INT8."""

    model: str
    original: str
    version: str
    machine: Mapping[str, str]
    least: float
    pictures: Counts
    steps: Sequence[Step]
    chosen: str
    reason: str
    held_out: Agreement | None = None
    different: Sequence[Compared] = ()
    layers: Mapping[str, float] = {}
    removed_channels: int = 0
    golden_tolerance: float | None = None
    seconds: float = 0.0

    def step(self, name: str) -> Step | None:
        """The step of this name."""
        return next((step for step in self.steps if step.name == name), None)


def dump(report: Report) -> bytes:
    """For programs, and for `load`."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def load(version: Path) -> Report | None:
    """The report in a version's folder; None if there is none, or none that this release reads."""
    try:
        return msgspec.json.decode((version / FILE).read_bytes(), type=Report)
    except (OSError, ValueError):
        return None


def with_golden(report: Report, tolerance: float | None) -> Report:
    """With the tolerance of the version's golden images."""
    return replace(report, golden_tolerance=tolerance)


def in_a_line(report: Report) -> str:
    """For `tureen inspect`."""
    step = report.step(report.chosen)
    gain = (
        f"; {step.speed.gain:.2f} times the images per second of version {report.original}"
        if step and step.speed
        else ""
    )
    shown = ""
    if report.held_out:
        found = report.held_out
        shown = (
            f"; {found.agreeing:,} of {found.sources:,} held-out pictures agree, at least {found.bound:.1%} with 95 %"
            " confidence"
        )
    return f"{report.chosen}{gain}{shown}; measured on {report.machine.get('cpu', '?')} ({PAGE})"
