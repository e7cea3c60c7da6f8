"""What is looked at in one image and in its answer: a few numbers, cheap to compute. Pure.

Brightness and contrast are the mean and the spread of luma (ITU-R BT.601). Colourfulness is that of Hasler and
Süsstrunk, "Measuring colourfulness in natural images" (2003). Sharpness is the energy of differences between
neighbours beside that of pixels two apart, as a logarithm: blur lowers it, whatever the picture shows.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from server.drift.names import OUTPUTS
from server.models.output_spec import Output
from server.models.render import Row, as_answered

_GRID = 96  # points each way at which colours are looked at
_PATCH = 192  # pixels each way, from the middle, in which sharpness is looked at
_LEAST = 1e-3  # energy, so that a plain picture has a logarithm
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def input_features(image: Image.Image, pixels: int, *, sideways: bool) -> tuple[float, ...]:
    """As `INPUTS`. `image`: decoded, of mode RGB or L; `pixels`: of the original; `sideways`: it is yet to be turned.

    Brightness, contrast and colourfulness are parts of 1; size and aspect are logarithms to base 2: of the side of a
    square with as many pixels, and of width by height.
    """
    points = _points(image)
    luma = points @ _LUMA if points.ndim == 2 else points
    width, height = (image.height, image.width) if sideways else image.size
    return (
        float(luma.mean()) / 255,
        float(luma.std()) / 255,
        _sharpness(image),
        _colourfulness(points) / 255 if points.ndim == 2 else 0.0,
        0.5 * math.log2(max(1, pixels)),
        math.log2(width / height),
    )


def output_features(row: Row, output: Output) -> tuple[float, ...]:
    """As `OUTPUTS`. `output` is resolved. Entropy in nats."""
    if output.kind == "score":
        return (float(as_answered(output, row)[0][0]), math.nan, math.nan)
    if output.kind != "classes":
        return (math.nan,) * len(OUTPUTS)
    values = as_answered(output, row)[0].astype(np.float64)
    best = int(values.argmax())
    score = output.scores[best] if output.scores else math.nan
    return (score, float(values[best]), _entropy(values))


def _points(image: Image.Image) -> NDArray[Any]:
    """A grid of pixels, as floats: (n, 3), or (n,) of a grey one."""
    across, down = (max(1, -(-side // _GRID)) for side in image.size)
    # Nearest, by whole steps: no pixel is averaged, and little is copied.
    small = image.resize((image.width // across or 1, image.height // down or 1), Image.Resampling.NEAREST)
    pixels = np.asarray(small, np.float32)
    return pixels.reshape(-1, 3) if small.mode == "RGB" else pixels.reshape(-1)


def _sharpness(image: Image.Image) -> float:
    wide, high = min(_PATCH, image.width), min(_PATCH, image.height)
    left, top = (image.width - wide) // 2, (image.height - high) // 2
    patch = np.asarray(image.crop((left, top, left + wide, top + high)).convert("L"), np.float32)
    if min(wide, high) < 3:
        return 0.0
    near = _energy(patch[:, 1:] - patch[:, :-1]) + _energy(patch[1:] - patch[:-1])
    far = _energy(patch[:, 2:] - patch[:, :-2]) + _energy(patch[2:] - patch[:-2])
    return math.log((near + _LEAST) / (far + _LEAST))


def _energy(differences: NDArray[np.float32]) -> float:
    return float(np.vdot(differences, differences)) / differences.size


def _colourfulness(points: NDArray[np.float32]) -> float:
    red, green, blue = points.T
    red_green = red - green
    yellow_blue = 0.5 * (red + green) - blue
    spread = math.hypot(float(red_green.std()), float(yellow_blue.std()))
    return spread + 0.3 * math.hypot(float(red_green.mean()), float(yellow_blue.mean()))


def _entropy(probabilities: NDArray[np.float64]) -> float:
    shares = probabilities[probabilities > 0]
    shares = shares / shares.sum() if len(shares) else shares
    return float(-(shares * np.log(shares)).sum())
