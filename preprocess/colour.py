"""Colours as the file's own profile (ICC) means them, given in sRGB. For workers only. Never fails.

A profile that is broken, too large or made for other pixels is ignored, as if there were none: a picture
in slightly wrong colours is an answer, and so do viewers show it.
"""

from __future__ import annotations

import io
from functools import cache, lru_cache

import numpy as np
from PIL import Image, ImageCms

from preprocess.limits import Limits

MAX_PROFILE = Limits().max_profile
MAX_KEPT = 8  # transforms, each with its profile: phones and presses know a handful

_SPACES = {"RGB": b"RGB ", "L": b"GRAY", "CMYK": b"CMYK"}  # as a profile's header names them, by Pillow's mode
_CLASSES = frozenset({b"scnr", b"mntr", b"prtr", b"spac"})  # profiles of devices and spaces; not of effects
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC  # what the profile measured, and nothing made up for black
_HEADER = 128  # bytes
_SAME = 2  # levels of 255: a profile that changes no colour by more is sRGB

# Eight levels of each channel in all combinations: what is left as it is here is left so everywhere.
_PROBE = Image.fromarray(
    np.stack(np.meshgrid(*[np.linspace(0, 255, 8)] * 3), axis=-1).reshape(8, 64, 3).astype(np.uint8)
)


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """`image` (L, LA, RGB, RGBA or CMYK) in sRGB by its `profile`; the image itself if there is nothing to do."""
    mode = image.mode.removesuffix("A")
    if not profile or _HEADER > len(profile) or len(profile) > MAX_PROFILE:
        return image
    transform = _transform(profile, mode)
    if transform is None:
        return image
    converted = transform.apply(image if mode == image.mode else image.convert(mode))
    if mode != image.mode:
        converted.putalpha(image.getchannel("A"))
    return converted


@lru_cache(MAX_KEPT)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """What takes pixels of `mode` to sRGB; None if they are to be left alone."""
    if profile[16:20] != _SPACES.get(mode) or profile[12:16] not in _CLASSES:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, _srgb(), mode, "RGB", _INTENT)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if mode == "RGB" and _changes_nothing(transform) else transform


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    before, after = (np.asarray(one, dtype=np.int16) for one in (_PROBE, transform.apply(_PROBE)))
    return int(np.abs(after - before).max()) <= _SAME
