"""What decoding an image should cost, from its header and its length: an estimate for whoever schedules it.

Measured on one core (Zen 5, Pillow 13) with 12-megapixel pictures decoded for a 224 x 224 input, and a small one for
what every image costs. JPEGs are decoded at a fraction of their size, so their pixels are cheap; but every byte has to
be unpacked. 42 of them, of 7 thousand to 12 million pixels and of qualities from 40 to 95, deviate from this estimate
by 20 %, and from the best that knows only pixels by 33 %, up to 69 %. A progressive one keeps all of its coefficients
and passes over them about ten times.

Pixels are all that are decoded, `Header.pixels`: tiles, layers and alpha planes count.
"""

from typing import NamedTuple

from preprocess.header import Format, Header

_EACH_S = 0.6e-3  # whatever its size: opening, resizing, writing


class _Rate(NamedTuple):
    """Nanoseconds of one core per pixel and per encoded byte."""

    pixel: float
    byte: float = 0.0


_RATES: dict[Format, _Rate] = {
    "jpeg": _Rate(0.25, 5.0),
    "bmp": _Rate(2.0),
    "gif": _Rate(7.9),
    "png": _Rate(13.2),
    "webp": _Rate(21.0),
    "avif": _Rate(22.9),
    "heic": _Rate(35.8),
}
_PROGRESSIVE = _Rate(4.0, 20.0)


def decode_seconds(header: Header, size: int) -> float:
    """Seconds of one core from `size` encoded bytes to a tensor."""
    rate = _PROGRESSIVE if header.progressive else _RATES[header.format]
    return _EACH_S + (header.pixels * rate.pixel + size * rate.byte) * 1e-9
