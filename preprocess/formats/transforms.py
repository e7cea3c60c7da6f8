"""How an item of an AVIF is to be cropped and turned: its properties `clap`, `irot` and `imir`, in their order.

A turn is a matrix (a, b, c, d) that takes a point (x, y), seen from the picture's middle with y downwards, to
(a x + b y, c x + d y).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from fractions import Fraction

from preprocess.formats.bmff import Box
from preprocess.frame import Frame

Turn = tuple[int, int, int, int]

NAMES = (b"clap", b"irot", b"imir")

_read_aperture = struct.Struct(">IIIIiIiI").unpack_from  # width, height, offset across, offset down: each a fraction
_UPRIGHT: Turn = (1, 0, 0, 1)
_QUARTER: Turn = (0, 1, -1, 0)  # anticlockwise
_MIRRORS: tuple[Turn, Turn] = ((1, 0, 0, -1), (-1, 0, 0, 1))  # top and bottom exchanged; left and right
_ORIENTATIONS: dict[Turn, int] = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, -1, 1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, 1, -1, 0): 8,
}


def shown(data: bytes, properties: Iterable[Box], size: tuple[int, int]) -> tuple[Frame | None, int]:
    """What of a stored picture of `size` is shown (None: all), and its orientation as EXIF counts them.

    A crop that leaves the picture, or cuts through a pixel, is ignored.
    """
    turn, crop = _UPRIGHT, Frame(0, 0, *size)
    for box in properties:
        if box.name == b"irot":
            for _ in range(data[box.start] & 3):
                turn = _after(turn, _QUARTER)
        elif box.name == b"imir":
            turn = _after(turn, _MIRRORS[data[box.start] & 1])
        elif box.name == b"clap" and box.end - box.start >= 32:
            crop = _cropped(crop, turn, *_read_aperture(data, box.start)) or crop
    return (None if crop == (0, 0, *size) else crop), _ORIENTATIONS[turn]


def _after(first: Turn, second: Turn) -> Turn:
    (a, b, c, d), (e, f, g, h) = second, first
    return a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h


def _cropped(crop: Frame, turn: Turn, *aperture: int) -> Frame | None:
    """`crop` cut down to an aperture of the picture as it is turned so far."""
    if not all(aperture[1::2]):
        return None
    width, height, across, down = (Fraction(*aperture[at : at + 2]) for at in (0, 2, 4, 6))
    if turn[0] == 0:  # sideways
        width, height = height, width
    # Back to the stored picture: the inverse of a turn is its transpose.
    across, down = turn[0] * across + turn[2] * down, turn[1] * across + turn[3] * down
    left = (crop.left + crop.right - width) / 2 + across
    top = (crop.top + crop.bottom - height) / 2 + down
    sides = (left, top, left + width, top + height)
    if any(side.denominator != 1 for side in sides) or width <= 0 or height <= 0:
        return None
    found = Frame(*map(int, sides))
    if found.left < crop.left or found.top < crop.top or found.right > crop.right or found.bottom > crop.bottom:
        return None
    return found
