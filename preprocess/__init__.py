"""An image's bytes in, its place in the batch filled.

Importing this package loads neither numpy nor Pillow, so that a process which only looks at headers stays
small: pixels are behind `preprocess.decode` and `preprocess.tensor`.
"""

from preprocess.errors import (
    CorruptImage,
    CostlyImage,
    EmptyImage,
    ImageError,
    NotAnImage,
    TooManyPixels,
    TruncatedImage,
    UnsupportedFormat,
)
from preprocess.header import Format, Header, read_header
from preprocess.limits import Limits
from preprocess.recipe import IMAGENET_MEAN, IMAGENET_STD, Recipe

__all__ = [
    "ImageError",
    "EmptyImage",
    "NotAnImage",
    "UnsupportedFormat",
    "TooManyPixels",
    "TruncatedImage",
    "CorruptImage",
    "CostlyImage",
    "Format",
    "Header",
    "read_header",
    "Limits",
    "Recipe",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
]
