"""The works to measure, each a model and a kind of picture. To add one: a row in `WORKS`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import models, pictures
from benchmarks.store import made
from server import demo

_PICTURES = 8  # different ones, sent in turn


@dataclass(frozen=True, slots=True)
class Work:
    """`model`: a name of `benchmarks.models`, a path as for `tureen serve`, or "" for the demo model."""

    model: str
    width: int  # pixels
    height: int  # pixels
    efficiency: float | None = None  # the least there should be; None where nothing is promised
    flags: tuple[str, ...] = field(default=())  # for `tureen serve`, besides those of every work

    @property
    def title(self) -> str:
        name = Path(self.model).stem if self.model else "demo model"
        return f"{name} + {self.width}x{self.height}"

    def model_path(self) -> Path:
        """Where the model lies; it is built if need be."""
        if not self.model:
            return demo.FOLDER
        if self.model not in models.MODELS:
            return Path(self.model)
        return made(models, f"{self.model}.onnx", lambda path: models.build(self.model, path))

    def serve_flags(self) -> list[str]:
        """What `tureen serve` is told of this work."""
        return [*(("--model", str(self.model_path())) if self.model else ()), *self.flags]

    def pictures(self) -> list[Path]:
        """Where the pictures lie; they are made if need be."""
        return [self._picture(seed) for seed in range(_PICTURES)]

    def _picture(self, seed: int) -> Path:
        def make(path: Path) -> None:
            path.write_bytes(pictures.photo(self.width, self.height, seed))

        return made(pictures, f"{self.width}x{self.height}-{seed}.jpg", make)


WORKS: Mapping[str, Work] = {
    "tiny": Work("tiny", 320, 240, efficiency=0.85),
    "mobilenet_v2": Work("mobilenet_v2", 1024, 768),
    "resnet50": Work("resnet50", 1024, 768, efficiency=0.95),
    "demo": Work("", 1024, 768),
    "wide": Work("wide", 320, 240),
}
USUAL = ("tiny", "mobilenet_v2", "resnet50", "demo")
