"""Simulated streams of pictures: how often does one that has not shifted alarm, and is a shift seen at once?

The phase takes generated pictures. `python -m tests.soak.drift FOLDER [SEED]` takes the real ones (JPEG, PNG) of a
folder, such as those in the wheels of scikit-image. The suite has a short form.
"""

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from preprocess.decode import decode
from preprocess.header import read_header
from preprocess.limits import Limits
from server.drift.features import input_features
from server.drift.reference import Look, reference_of
from server.drift.windows import ALPHA, WINDOW, judge
from tests.photos import photo
from tests.soak.phase import Findings, Job

Change = Callable[[Image.Image], Image.Image]

_TARGET = (224, 224)  # what the model takes
_SIDES = (480, 640, 800)  # pixels: the shorter side of what clients send
_LABELS = ("tart", "soup", "rice", "stew", "fish", "cake", "roll", "cold")
_SHARES = (0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05)
_REFERENCE = 10_000  # looks
_WINDOWS, _STREAMS = 500, 20  # without a shift; per shift
_PICTURES, _POOL = 40, 1500
_MOST_WINDOWS = 2  # until a shift is seen
_LATE = 0.1  # of the streams with a shift that is near the least that two windows can show
_SEED = 20261128


def _darker(picture: Image.Image) -> Image.Image:
    return picture.point(lambda value: int(value * 0.85))


def _blurred(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(1.5))


def _cropped(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    return picture.crop((width // 10, height // 10, width - width // 10, height - height // 10))


SHIFTS: dict[str, Change] = {"darker by 15 %": _darker, "blurred by 1.5 px": _blurred, "cropped to 80 %": _cropped}
CLASS_SHIFT = "a class 10 points up"


class Stream:
    """Looks at pictures as clients send them: cut and scaled at random."""

    def __init__(self, pictures: Sequence[Image.Image], pool: int, seed: int, sides: Sequence[int] = _SIDES) -> None:
        """`pool`: how many are prepared, of which windows are then drawn. `sides`: their shorter ones, in pixels."""
        self._sides = sides
        self._random = np.random.default_rng(seed)
        sent = [self._sent(pictures) for _ in range(pool)]
        self._pools = {name: [_numbers(change(one)) for one in sent] for name, change in SHIFTS.items()}
        self._pools[""] = [_numbers(one) for one in sent]

    def looks(self, count: int, shift: str = "") -> list[Look]:
        """So many looks, of a stream that has shifted so."""
        pool = self._pools["" if shift == CLASS_SHIFT else shift]
        shares = np.array(_SHARES)
        if shift == CLASS_SHIFT:
            shares = np.where(np.arange(len(shares)) == 0, shares[0] + 0.1, shares * (1 - shares[0] - 0.1) / 0.7)
        labels = self._random.choice(_LABELS, count, p=shares / shares.sum())
        drawn = self._random.integers(len(pool), size=count)
        return [Look(self._with_outputs(pool[at]), str(label)) for at, label in zip(drawn, labels, strict=True)]

    def _with_outputs(self, inputs: tuple[float, ...]) -> tuple[float, ...]:
        confidence = float(self._random.beta(6, 2))
        return (*inputs, float(self._random.normal(3.4, 0.7)), confidence, 2.0 * (1 - confidence))

    def _sent(self, pictures: Sequence[Image.Image]) -> Image.Image:
        picture, random = pictures[self._random.integers(len(pictures))], self._random
        scale = random.uniform(0.5, 1.0)
        width, height = (int(side * scale * random.uniform(0.8, 1.0)) for side in picture.size)
        left, top = random.integers(picture.width - width + 1), random.integers(picture.height - height + 1)
        cut = picture.crop((left, top, left + width, top + height))
        factor = random.choice(self._sides) / min(cut.size)
        return cut.resize((round(cut.width * factor), round(cut.height * factor)), Image.Resampling.BICUBIC)


def _numbers(picture: Image.Image) -> tuple[float, ...]:
    """As a worker sees it, once it was sent as a JPEG."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88)
    data, limits = out.getvalue(), Limits()
    decoded = decode(data, _TARGET, limits)
    return input_features(decoded.image, read_header(data, limits).pixels, sideways=decoded.sideways)


def opened(data: bytes) -> Image.Image:
    """An encoded picture."""
    return Image.open(io.BytesIO(data)).convert("RGB")


def quiet_alarms(stream: Stream, windows: int) -> int:
    """Alarms in so many windows of a stream that has not shifted."""
    reference = reference_of(stream.looks(_REFERENCE), "")
    alarms, before = 0, []
    for _ in range(windows):
        window = stream.looks(WINDOW)
        alarms += judge(reference, window, before).drifted
        before = window
    return alarms


def windows_until_alarm(stream: Stream, shift: str, most: int = 5) -> int:
    """Windows after a shift until the alarm, which comes with the last of them; more than `most` is `most` + 1."""
    reference = reference_of(stream.looks(_REFERENCE), "")
    before = stream.looks(WINDOW)
    for number in range(1, most + 1):
        window = stream.looks(WINDOW, shift)
        if judge(reference, window, before).drifted:
            return number
        before = window
    return most + 1


def run(job: Job) -> Findings:
    found = Findings()
    job.say("preparing pictures", 0.0)
    pictures = [opened(photo(seed, 640, 480)) for seed in range(_PICTURES)]
    stream = Stream(pictures, job.count(_POOL, 100), job.seed, sides=(240, 320, 480))
    job.say("no shift", 0.4)
    windows = job.count(_WINDOWS, 50)
    alarms = quiet_alarms(stream, windows)
    stated = max(1.0, windows * ALPHA)
    found.holds(f"alarms in {windows} windows without a shift", f"{alarms}", f"<= {stated:g}", alarms <= stated)
    for number, shift in enumerate((*SHIFTS, CLASS_SHIFT)):
        job.say(shift, 0.5 + 0.1 * number)
        needed = [windows_until_alarm(stream, shift) for _ in range(job.count(_STREAMS, 3))]
        found.raw[shift] = needed
        late = sum(windows > _MOST_WINDOWS for windows in needed)
        found.holds(
            f"{shift}: streams seen only after {_MOST_WINDOWS} windows", f"{late} of {len(needed)}",
            f"<= {_LATE:.0%}", late <= _LATE * len(needed),
        )  # fmt: skip
    return found


def main(folder: Path, seed: int = _SEED) -> None:
    """Print the figures of docs/rollouts.md."""
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in (".png", ".jpg", ".jpeg")]
    pictures = [picture for path in files if min((picture := opened(path.read_bytes())).size) >= 200]
    stream = Stream(pictures, _POOL, seed)
    alarms = quiet_alarms(stream, _WINDOWS)
    print(f"{len(pictures)} pictures; {alarms} of {_WINDOWS} windows alarm (stated: {_WINDOWS * ALPHA:g})")
    for shift in (*SHIFTS, CLASS_SHIFT):
        needed = [windows_until_alarm(stream, shift) for _ in range(_STREAMS)]
        print(f"{shift}: seen after {max(needed)} windows at most, in {_STREAMS} streams: {sorted(needed)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
