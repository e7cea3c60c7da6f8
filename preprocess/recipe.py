"""What a model wants of an image. Values and their rules only: `preprocess.tensor` follows them.

No numpy here: whoever only reads model cards stays light.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

Fit = Literal["stretch", "cover", "contain"]
Resample = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Layout = Literal["NCHW", "NHWC"]
Dtype = Literal["float32", "float16", "float64", "uint8", "int32", "int64"]
Colour = Literal["RGB", "BGR", "grey"]

# The usual figures of ImageNet in RGB, for values scaled to 0..1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

FLOATS: tuple[Dtype, ...] = ("float32", "float16", "float64")

MAX_SIDE = 16_384  # pixels

_CHOICES: dict[str, Any] = {
    "fit": Fit,
    "resample": Resample,
    "layout": Layout,
    "dtype": Dtype,
    "colour": Colour,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a picture becomes a model's input: resized, then `(value * scale - mean) / std` in each channel.

    `mean` and `std` hold one value a channel, in the order of `colour`, or one for all; their unit is that
    of the value after `scale`. Values start as 0..255. Whole numbers take them as they are.

    `fit`: `stretch` ignores the picture's proportions, `cover` cuts what stands out (centred), `contain`
    shows all of it (centred) and fills the rest with `pad`, an RGB colour of 0..255, whatever `colour` is.

    Raises ValueError for a field that breaks its rule.
    """

    width: int  # pixels
    height: int  # pixels
    fit: Fit = "cover"
    pad: tuple[int, int, int] = (0, 0, 0)
    resample: Resample = "bilinear"
    layout: Layout = "NCHW"
    dtype: Dtype = "float32"
    colour: Colour = "RGB"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        for name, kind in _CHOICES.items():
            choices = get_args(kind)
            self._require(name, getattr(self, name) in choices, f"one of {', '.join(choices)}")
        for name in ("width", "height"):
            self._require(name, 1 <= getattr(self, name) <= MAX_SIDE, f"from 1 to {MAX_SIDE}")
        within = [0 <= part <= 255 for part in self.pad]
        self._require("pad", within == [True] * 3, "3 values from 0 to 255")
        self._check_values()

    def _check_values(self) -> None:
        for name in ("mean", "std"):
            value = getattr(self, name)
            fits = len(value) in (1, self.channels) and all(map(math.isfinite, value))
            self._require(name, fits, f"{self.channels} finite values, or 1 for all channels")
        self._require("std", min(self.std) > 0, "> 0")
        self._require("scale", math.isfinite(self.scale) and self.scale > 0, "finite and > 0")
        plain = all(factors == (1, 0) for factors in self.factors)
        self._require("dtype", plain or self.dtype in FLOATS, "a float where scale, mean or std is given")

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise ValueError(f"{name} must be {rule}, got {getattr(self, name)!r}")

    @property
    def channels(self) -> int:
        return 1 if self.colour == "grey" else 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one item, without the batch."""
        if self.layout == "NCHW":
            return (self.channels, self.height, self.width)
        return (self.height, self.width, self.channels)

    @property
    def factors(self) -> tuple[tuple[float, float], ...]:
        """(multiplier, summand) for each channel: the normalisation of a value of 0..255 in one step."""
        means, stds = (part * (self.channels // len(part)) for part in (self.mean, self.std))
        return tuple((self.scale / std, -mean / std) for mean, std in zip(means, stds, strict=True))
