"""What each format's module says of a file: its outline for whoever schedules, its extract for the decoder."""

from __future__ import annotations

from typing import NamedTuple

from preprocess.frame import Frame


class Outline(NamedTuple):
    """The size of a picture, and what decoding it will do. Read off the header, in microseconds."""

    width: int  # pixels, as stored
    height: int
    extra: int = 0  # pixels decoded beyond width x height: an alpha plane, layers, tiles that stand out
    progressive: bool = False  # the decoder passes over the picture more than once


class Extract(NamedTuple):
    """What of a file goes to the decoder: the first picture. Damage anywhere else then harms nothing.

    Where `exif` or `profile` is None, the decoder may know them.
    """

    data: bytes
    exif: bytes | None = None
    profile: bytes | None = None
    frame: Frame | None = None  # where the picture stands on a canvas that may be larger
    crop: Frame | None = None  # what of the stored picture is shown
    orientation: int | None = None  # as in EXIF; None where the EXIF block has the say
