"""The pixels of a BMP. For workers only.

Layouts that Pillow unpacks are given to it as raw bytes; masks of any other kind are taken apart here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from preprocess.formats import bmp
from preprocess.formats.bmp import Bitmap, Masks

_BAND = 1 << 20  # pixels taken apart at a time: what numpy needs on the way stays small
_TABLED = {1: "P;1", 4: "P;4", 8: "P"}
_RAW: dict[tuple[int, Masks], str] = {
    (16, (0xF800, 0x7E0, 0x1F, 0)): "BGR;16",
    (16, (0x7C00, 0x3E0, 0x1F, 0)): "BGR;15",
    (24, (0xFF0000, 0xFF00, 0xFF, 0)): "BGR",
    (32, (0xFF0000, 0xFF00, 0xFF, 0)): "BGRX",
    (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)): "BGRA",
    (32, (0xFF, 0xFF00, 0xFF0000, 0)): "RGBX",
    (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)): "RGBA",
}


def load(data: bytes) -> Image.Image:
    """The picture in `data`, which has passed `bmp.check`: of mode P, RGB or RGBA.

    An alpha channel that is 0 everywhere says nothing: writers that do not use it leave it so.
    """
    bitmap = bmp.read(data)
    if bitmap.bits in _TABLED:
        image = _unpacked(data, bitmap, "P", _TABLED[bitmap.bits])
        table = data[bitmap.table : bitmap.table + bitmap.colours * bitmap.entry]
        image.putpalette(_colours(table, bitmap.entry))
        return image
    raw = _RAW.get((bitmap.bits, bitmap.masks))
    if raw is None:
        image = _masked(data, bitmap)
    else:
        image = _unpacked(data, bitmap, "RGBA" if raw.endswith("A") else "RGB", raw)
    if image.mode == "RGBA" and not image.getchannel("A").getbbox():
        return image.convert("RGB")
    return image


def _unpacked(data: bytes, bitmap: Bitmap, mode: str, raw: str) -> Image.Image:
    pixels = memoryview(data)[bitmap.start : bitmap.start + bitmap.line * bitmap.height]
    size = (bitmap.width, bitmap.height)
    return Image.frombytes(mode, size, pixels, "raw", raw, bitmap.line, 1 if bitmap.from_top else -1)


def _colours(table: bytes, entry: int) -> bytes:
    """A table of blue, green, red and perhaps a fourth byte, as red, green, blue."""
    colours = np.frombuffer(table, np.uint8).reshape(-1, entry)
    return colours[:, 2::-1].tobytes()


def _masked(data: bytes, bitmap: Bitmap) -> Image.Image:
    """Pixels whose number holds each channel in bits of its own."""
    kind = np.dtype("<u2" if bitmap.bits == 16 else "<u4")
    lines = np.ndarray((bitmap.height, bitmap.width), kind, data, bitmap.start, (bitmap.line, kind.itemsize))
    if not bitmap.from_top:
        lines = lines[::-1]
    masks = bitmap.masks if bitmap.masks[3] else bitmap.masks[:3]
    image = Image.new("RGBA" if bitmap.masks[3] else "RGB", (bitmap.width, bitmap.height))
    step = max(1, _BAND // bitmap.width)
    for top in range(0, bitmap.height, step):
        band = lines[top : top + step]
        image.paste(Image.fromarray(np.stack([_channel(band, mask) for mask in masks], axis=-1)), (0, top))
    return image


def _channel(pixels: NDArray[np.uint16 | np.uint32], mask: int) -> NDArray[np.uint8]:
    """The bits of `mask` as a value from 0 to 255."""
    if not mask:
        return np.zeros(pixels.shape, np.uint8)
    low = (mask & -mask).bit_length() - 1
    most = mask >> low
    values = (pixels & pixels.dtype.type(mask)) >> low
    if most.bit_length() > 8:
        values, most = values >> (most.bit_length() - 8), 255
    table = (np.arange(256) * 255 + most // 2) // most
    channel: NDArray[np.uint8] = table.clip(0, 255).astype(np.uint8)[values]
    return channel
