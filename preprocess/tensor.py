"""Pixels into the batch: a picture is resized and written, normalised, straight into its slot.

No array as large as the slot is made on the way; the slot is a view into the batch, so nothing is stacked
later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from preprocess.decode import Allow, Extent, Picture, Size, decode
from preprocess.limits import Limits
from preprocess.recipe import Colour, Dtype, Recipe, Resample

Plane = NDArray[np.uint8]  # (height, width): one channel of a picture
Channel = NDArray[Any]  # (height, width): one channel of a slot, or a part of it

_FILTERS: dict[Resample, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_BANDS: dict[Colour, str] = {"RGB": "RGB", "BGR": "BGR", "grey": "L"}  # in the order of the tensor's channels


def prepare(
    data: bytes | bytearray | memoryview,
    recipe: Recipe,
    slot: NDArray[Any],
    limits: Limits,
    allow: Allow | None = None,
    look: Callable[[Picture], None] | None = None,
) -> None:
    """Decode the image in `data` and write it into `slot` as `recipe` says; see `decode` and `write`.

    `look` is shown the picture in between.

    Raises ImageError; `slot` is then left as it was.
    """
    # "nearest" takes single pixels of the original: averaging on the way would answer another question.
    target = None if recipe.resample == "nearest" else (recipe.width, recipe.height)
    picture = decode(data, target, limits, allow)
    if look:
        look(picture)
    write(picture, recipe, slot)


def write(picture: Picture, recipe: Recipe, slot: NDArray[Any]) -> None:
    """Resize, turn upright and normalise `picture` into `slot` (`recipe.shape`, `recipe.dtype`).

    Raises ValueError if `slot` is another: a mistake of the caller's.
    """
    if slot.shape != recipe.shape or slot.dtype != recipe.dtype:
        raise ValueError(f"the slot must be {recipe.dtype} {recipe.shape}, got {slot.dtype} {slot.shape}")
    image = _fitted(picture, recipe)
    channels = slot if recipe.layout == "NCHW" else np.moveaxis(slot, -1, 0)
    if image.size != (recipe.width, recipe.height):
        channels = _padded(channels, image.size, recipe)
    put = _WRITERS[recipe.dtype]
    for channel, plane, factors in zip(channels, _planes(image, recipe.colour), recipe.factors, strict=True):
        put(channel, plane, *factors)


def _fitted(picture: Picture, recipe: Recipe) -> Image.Image:
    """`picture` upright in the recipe's size, or within it for `contain`."""
    size = (recipe.height, recipe.width) if picture.sideways else (recipe.width, recipe.height)
    box = (0.0, 0.0, *picture.extent)
    if recipe.fit == "cover":
        box = _centred(picture.extent, size)
    elif recipe.fit == "contain":
        size = _inside(picture.extent, size)
    image = picture.image.resize(size, _FILTERS[recipe.resample], box)
    return picture._replace(image=image).upright()


def _centred(extent: Extent, target: Size) -> tuple[float, float, float, float]:
    """The largest box with the proportions of `target` in the middle: left, top, right, bottom in pixels."""
    scale = min(extent[0] / target[0], extent[1] / target[1])
    width, height = min(target[0] * scale, extent[0]), min(target[1] * scale, extent[1])
    left, top = (extent[0] - width) / 2, (extent[1] - height) / 2
    return left, top, min(left + width, extent[0]), min(top + height, extent[1])


def _inside(extent: Extent, target: Size) -> Size:
    """The largest size with the proportions of `extent` that fits, at least one pixel each way."""
    scale = min(target[0] / extent[0], target[1] / extent[1])
    return max(1, round(extent[0] * scale)), max(1, round(extent[1] * scale))


def _padded(channels: NDArray[Any], size: Size, recipe: Recipe) -> NDArray[Any]:
    """Fill `channels` (channel, height, width) with the pad colour; the view in their middle for `size`."""
    pad = Image.new("RGB", (1, 1), recipe.pad)
    for channel, plane, (factor, summand) in zip(channels, _planes(pad, recipe.colour), recipe.factors, strict=True):
        channel[...] = plane[0, 0] * factor + summand
    left, top = (recipe.width - size[0]) // 2, (recipe.height - size[1]) // 2
    return channels[:, top : top + size[1], left : left + size[0]]


def _planes(image: Image.Image, colour: Colour) -> list[Plane]:
    """The channels of `image`, read-only, in the order of `colour`.

    One plane at a time is faster than Pillow's interleaved pixels: what numpy reads and writes then lies in
    a row.
    """
    if colour == "grey":
        image = image.convert("L")
    if image.mode == "L":
        return [_plane(image, "L")] * len(_BANDS[colour])
    return [_plane(image, band) for band in _BANDS[colour]]


def _plane(image: Image.Image, band: str) -> Plane:
    samples = np.frombuffer(image.tobytes("raw", band), np.uint8)
    return samples.reshape(image.height, image.width)


def _write_float(channel: Channel, plane: Plane, factor: float, summand: float) -> None:
    """float32 and float64, each computed as what it is."""
    np.copyto(channel, plane)  # then in place: faster than multiplying and converting in one call
    if factor != 1:
        np.multiply(channel, channel.dtype.type(factor), out=channel)
    if summand:
        np.add(channel, channel.dtype.type(summand), out=channel)


def _write_float16(channel: Channel, plane: Plane, factor: float, summand: float) -> None:
    """By table: a value has 256 forms, and CPUs do no arithmetic in this type."""
    table = (np.arange(256, dtype=np.float32) * np.float32(factor) + np.float32(summand)).astype(np.float16)
    np.take(table, plane, out=channel, mode="clip")


def _write_whole(channel: Channel, plane: Plane, factor: float, summand: float) -> None:
    np.copyto(channel, plane)  # the recipe allows no other factor than 1, no other summand than 0


_WRITERS: dict[Dtype, Callable[[Channel, Plane, float, float], None]] = {
    "float32": _write_float,
    "float64": _write_float,
    "float16": _write_float16,
    "uint8": _write_whole,
    "int32": _write_whole,
    "int64": _write_whole,
}
