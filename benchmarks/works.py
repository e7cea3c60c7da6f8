"""The works to measure, each a model and a kind of picture. To add one: a row in `WORKS`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import models
from benchmarks.store import made
from server import demo
from server.commands.bench import photos

_PICTURES = 8  # different ones, sent in turn
_PHONE = (4000, 3000)  # pixels


@dataclass(frozen=True, slots=True)
class Work:
    """`model`: a name of `benchmarks.models`, a path as for `tureen serve`, or "" for the demo model."""

    model: str
    width: int  # pixels
    height: int  # pixels
    slo_s: float = 1.0  # of the promise, where one is measured
    phones: int = 0  # 4000x3000 pictures among every eight
    efficiency: float | None = None  # the least there should be; None where nothing is promised
    flags: tuple[str, ...] = field(default=())  # for `tureen serve`, besides those of every work

    @property
    def title(self) -> str:
        name = Path(self.model).stem if self.model else "demo model"
        return f"{name} + {self.width}x{self.height}{' + phone photos' * bool(self.phones)}"

    def model_path(self) -> Path:
        """Where the model lies; it is built if need be."""
        if not self.model:
            return demo.FOLDER
        if self.model not in models.MODELS:
            return Path(self.model)
        return made(models, f"{self.model}.onnx", lambda path: models.build(self.model, path))

    def serve_flags(self) -> list[str]:
        """What `tureen serve` is told of this work."""
        return [*((str(self.model_path()),) if self.model else ()), *self.flags]

    def pictures(self) -> list[Path]:
        """Where the pictures lie; they are made if need be."""
        plain = [_picture(self.width, self.height, seed) for seed in range(_PICTURES - self.phones)]
        return [*plain, *(_picture(*_PHONE, seed) for seed in range(self.phones))]


def _picture(width: int, height: int, seed: int) -> Path:
    def make(path: Path) -> None:
        path.write_bytes(photos.photo(width, height, seed))

    return made(photos, f"{width}x{height}-{seed}.jpg", make)


WORKS: Mapping[str, Work] = {
    "tiny": Work("tiny", 320, 240, slo_s=0.1, efficiency=0.85),
    "mobilenet_v2": Work("mobilenet_v2", 1024, 768, slo_s=0.25),
    "resnet50": Work("resnet50", 1024, 768, efficiency=0.95),
    "resnet152": Work("resnet152", 1024, 768),
    "mix": Work("mobilenet_v2", 1024, 768, phones=2),
    "demo": Work("", 1024, 768),
    "wide": Work("wide", 320, 240),
}
USUAL = ("tiny", "mobilenet_v2", "resnet50", "demo")
