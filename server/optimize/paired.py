"""Several models timed in turn, each in a process of its own: what disturbs the machine disturbs all of them alike."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from server.optimize.errors import OptimizeError

_ROUNDS, _SLICE_S = 5, 0.2
_POWER = Path("/sys/class/powercap")


class Speed(msgspec.Struct, frozen=True):
    """One model in one process with one thread. Bytes, and seconds of CPU per image.

    `load_s` and `latency_s` are seconds on the clock; the latter until a lone image is answered, decoding included.
    `capacity`: images per second, decoding included. `gain`: the model's images per second beside the original's, the
    median of the rounds. `joules`: per image, of the whole machine, where it tells.
    """

    size: int
    load_s: float
    memory: int
    prepare_s: float
    latency_s: float
    batch: int
    batch_s: float
    gain: float = 1.0
    joules: float | None = None

    @property
    def capacity(self) -> float:
        return 1 / (self.prepare_s + self.batch_s)


def measure(model: Path, files: Mapping[str, Path], photos: Path, told: Callable[[], None]) -> dict[str, Speed]:
    """Time all `files`; the first is the original. `told` is called 1 + rounds times. Raises `OptimizeError`."""
    with ExitStack() as stack:
        children = {name: stack.enter_context(_Child(model, file, photos)) for name, file in files.items()}
        told()
        rounds: list[dict[str, _Round]] = []
        for _ in range(_ROUNDS):
            rounds.append({name: child.round() for name, child in children.items()})
            told()
        return {name: _speed(name, child, rounds, next(iter(files))) for name, child in children.items()}


ROUNDS = _ROUNDS + 1


Measure = Callable[[Path, Mapping[str, Path], Path, Callable[[], None]], dict[str, Speed]]
"""As `measure`."""


class _Round(msgspec.Struct, frozen=True):
    prepare_s: float
    latency_s: float
    batch_s: float
    joules: float | None


def _speed(name: str, child: "_Child", rounds: list[dict[str, _Round]], original: str) -> Speed:
    own = [each[name] for each in rounds]
    joules = [one.joules for one in own if one.joules is not None]
    return Speed(
        size=child.file.stat().st_size,
        load_s=child.opened["load_s"],
        memory=child.opened["memory"],
        prepare_s=median(one.prepare_s for one in own),
        latency_s=median(one.latency_s for one in own),
        batch=child.opened["batch"],
        batch_s=median(one.batch_s for one in own),
        gain=median(each[original].batch_s / each[name].batch_s for each in rounds),
        joules=median(joules) if joules else None,
    )


class _Child:
    """A process that times one model. At the end it is told that its input has ended, and it goes."""

    def __init__(self, model: Path, file: Path, photos: Path) -> None:
        self.file = file
        words = [sys.executable, "-P", "-m", "server.optimize.measuring", str(model), str(file), str(photos)]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        self.opened: dict[str, Any] = {}

    def __enter__(self) -> "_Child":
        self.opened = self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def round(self) -> _Round:
        """A slice of each kind."""
        alone = self._ask("alone")
        before = _joules()
        batch = self._ask("batch")
        after = _joules()
        spent = None if before is None or after is None or after < before else (after - before) / batch["images"]
        return _Round(alone["prepare_s"], alone["latency_s"], batch["infer_s"], spent)

    def _ask(self, act: str) -> dict[str, Any]:
        assert self._process.stdin
        try:
            self._process.stdin.write(f"{act} {_SLICE_S}\n".encode())
            self._process.stdin.flush()
        except OSError:  # it has died: the answer says why
            pass
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            _, err = self._process.communicate()
            last = err.decode(errors="replace").strip().rpartition("\n")[2]
            raise OptimizeError(f"{self.file.name} cannot be measured: its process ended: {last}")
        answer: dict[str, Any] = msgspec.json.decode(line)
        return answer


def _joules(folder: Path = _POWER) -> float | None:
    """What the CPUs have used since some time; None where the machine does not tell, or not us."""
    try:
        found = [int((zone / "energy_uj").read_text()) for zone in folder.glob("intel-rapl:[0-9]*") if zone.is_dir()]
    except (OSError, ValueError):
        return None
    return sum(found) / 1e6 if found else None
