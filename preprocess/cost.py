"""What decoding an image should cost, from its header alone: an estimate for whoever schedules it.

Measured on one core (Zen 5, Pillow 13) with 12-megapixel pictures decoded for a 224 x 224 input, and a small one for
what every image costs. JPEGs are decoded at a fraction of their size, so their pixels are cheap; a progressive one
costs about four times as much, which its header check does not tell.
"""

from preprocess.header import Format, Header

_EACH_S = 0.6e-3  # whatever its size: opening, resizing, writing
_NANOSECONDS_A_PIXEL: dict[Format, float] = {
    "jpeg": 2.2,
    "bmp": 2.0,
    "gif": 7.9,
    "png": 13.2,
    "webp": 21.0,
    "avif": 22.9,
    "heic": 35.8,
}


def decode_seconds(header: Header) -> float:
    """Seconds of one core from encoded bytes to tensor."""
    return _EACH_S + header.pixels * _NANOSECONDS_A_PIXEL[header.format] * 1e-9
