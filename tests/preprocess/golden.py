"""What is held against the plain path: formats, kinds of pixels and recipes, within the tolerances of docs/images.md.

After a change of a tolerance, write the table into the document:

python -m tests.preprocess.golden
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pillow_heif
from PIL import Image

from preprocess import IMAGENET_MEAN, IMAGENET_STD, Recipe
from tests.preprocess.pictures import bmp, encode, gif, photo, profile, sixteen_bits, turned, with_alpha

PAGE = Path(__file__).parents[2] / "docs" / "images.md"
HEAD = "| picture | same size: mean, largest | resized: mean, largest |\n|---|---|---|\n"

WIDTH, HEIGHT = 180, 120
IMAGENET = {"scale": 1 / 255, "mean": IMAGENET_MEAN, "std": IMAGENET_STD}

RECIPES = {
    "as it is": Recipe(width=WIDTH, height=HEIGHT, fit="stretch", dtype="uint8"),
    "usual": Recipe(width=64, height=64, **IMAGENET),
    "stretch": Recipe(width=64, height=64, fit="stretch", **IMAGENET),
    "contain": Recipe(width=64, height=80, fit="contain", pad=(124, 116, 104), **IMAGENET),
    "nearest": Recipe(width=64, height=64, resample="nearest", **IMAGENET),
    "bicubic": Recipe(width=64, height=64, resample="bicubic", **IMAGENET),
    "lanczos": Recipe(width=64, height=64, resample="lanczos", **IMAGENET),
    "NHWC": Recipe(width=64, height=64, layout="NHWC", **IMAGENET),
    "BGR": Recipe(width=64, height=64, colour="BGR", mean=(103.939, 116.779, 123.68)),
    "grey": Recipe(width=64, height=64, colour="grey", scale=1 / 255, mean=(0.5,), std=(0.5,)),
    "float16": Recipe(width=64, height=64, dtype="float16", **IMAGENET),
    "uint8": Recipe(width=64, height=64, dtype="uint8", layout="NHWC"),
    "larger": Recipe(width=300, height=300, **IMAGENET),
}


class Row(NamedTuple):
    """One picture, one recipe, and how far the tensor may be from the plain one, in levels of 255."""

    format: str
    kind: str
    recipe: str
    mean: float
    largest: float


def picture(mode="RGB"):
    return photo(WIDTH, HEIGHT, mode)


def animated(format, **options):
    others = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "blue")]
    return encode(picture(), format, save_all=True, append_images=others, **options)


def sideways(format, **options):
    stored, exif = turned(picture(), 6)
    return encode(stored, format, exif=exif, **options)


def ten_bits():
    samples = (np.asarray(picture(), dtype=np.uint16) * 257).tobytes()
    file = io.BytesIO()
    pillow_heif.from_bytes("RGB;16", (WIDTH, HEIGHT), samples).save(file, quality=-1)
    return file.getvalue()


def bmp_rows(mode):
    """The photo in lines from the bottom; a mode is the bits of blue, green, red and, if given, of alpha."""
    samples = np.flipud(np.asarray(with_alpha(picture())))[..., [2, 1, 0, 3]]
    if mode == (8, 8, 8):
        return samples[..., :3].tobytes()
    packed, shift = np.zeros(samples.shape[:2], np.uint32), 0
    for channel, bits in enumerate(mode):
        packed |= (samples[..., channel].astype(np.uint32) >> 8 - bits) << shift
        shift += bits
    return packed.astype("<u4" if shift > 16 else "<u2").tobytes()


def masks(*values):
    return b"".join(value.to_bytes(4, "little") for value in values)


LARGE = (1600, 1200)

# Each makes the bytes of one file; those in the first group lose nothing, so "as it is" must be exact.
KINDS = {
    ("JPEG", "baseline"): lambda: encode(picture()),
    ("JPEG", "baseline 4:2:0"): lambda: encode(picture(), subsampling=2, quality=80),
    ("JPEG", "progressive"): lambda: encode(picture(), progressive=True),
    ("JPEG", "grey"): lambda: encode(picture("L")),
    ("JPEG", "CMYK"): lambda: encode(picture("CMYK")),
    ("JPEG", "MPO"): lambda: animated("MPO"),
    ("JPEG", "profile"): lambda: encode(picture(), icc_profile=profile()),
    ("JPEG", "orientation 6"): lambda: sideways("JPEG"),
    ("JPEG", "1600 x 1200"): lambda: encode(photo(*LARGE)),
    ("JPEG", "1600 x 1200, progressive"): lambda: encode(photo(*LARGE), progressive=True),
    ("JPEG", "1600 x 1200, grey"): lambda: encode(photo(*LARGE, "L")),
    ("JPEG", "1600 x 1200, CMYK"): lambda: encode(photo(*LARGE, "CMYK")),
    ("JPEG", "1600 x 1200, profile"): lambda: encode(photo(*LARGE), icc_profile=profile()),
    ("PNG", "1 bit"): lambda: encode(picture("1"), "PNG"),
    ("PNG", "grey"): lambda: encode(picture("L"), "PNG"),
    ("PNG", "grey, 16 bits"): lambda: encode(Image.fromarray(np.asarray(picture("L")).astype(np.uint16) * 257), "PNG"),
    ("PNG", "grey, alpha"): lambda: encode(with_alpha(picture("L")), "PNG"),
    ("PNG", "grey, a clear value"): lambda: encode(picture("L"), "PNG", transparency=100),
    ("PNG", "palette"): lambda: encode(picture("P"), "PNG"),
    ("PNG", "palette of 4"): lambda: encode(picture().quantize(4), "PNG"),
    ("PNG", "palette, half-clear colours"): lambda: encode(picture("P"), "PNG", transparency=bytes(range(256))),
    ("PNG", "RGB"): lambda: encode(picture(), "PNG"),
    ("PNG", "RGB, 16 bits"): lambda: sixteen_bits(picture()),
    ("PNG", "RGB, interlaced"): lambda: encode(picture(), "PNG", interlace=True),
    ("PNG", "RGB, profile"): lambda: encode(picture(), "PNG", icc_profile=profile()),
    ("PNG", "RGBA"): lambda: encode(with_alpha(picture()), "PNG"),
    ("PNG", "RGBA, profile"): lambda: encode(with_alpha(picture()), "PNG", icc_profile=profile()),
    ("PNG", "animated"): lambda: animated("PNG"),
    ("PNG", "orientation 6"): lambda: sideways("PNG"),
    ("PNG", "1600 x 1200"): lambda: encode(photo(*LARGE), "PNG", compress_level=1),
    ("WebP", "lossy"): lambda: encode(picture(), "WEBP"),
    ("WebP", "lossless"): lambda: encode(picture(), "WEBP", lossless=True),
    ("WebP", "lossy, alpha"): lambda: encode(with_alpha(picture()), "WEBP"),
    ("WebP", "lossless, alpha"): lambda: encode(with_alpha(picture()), "WEBP", lossless=True),
    ("WebP", "animated"): lambda: animated("WEBP"),
    ("WebP", "profile"): lambda: encode(picture(), "WEBP", icc_profile=profile()),
    ("WebP", "orientation 6"): lambda: sideways("WEBP"),
    ("GIF", "palette"): lambda: encode(picture("P"), "GIF"),
    ("GIF", "grey"): lambda: encode(picture("L"), "GIF"),
    ("GIF", "a clear colour"): lambda: encode(picture("P"), "GIF", transparency=5),
    ("GIF", "palette, interlaced"): lambda: encode(picture("P"), "GIF", interlace=True),
    ("GIF", "palette, animated"): lambda: animated("GIF"),
    ("GIF", "one colour"): lambda: gif((WIDTH, HEIGHT), (0, 0, WIDTH, HEIGHT), 1),
    ("BMP", "1 bit"): lambda: encode(picture("1"), "BMP"),
    ("BMP", "palette"): lambda: encode(picture("P"), "BMP"),
    ("BMP", "grey"): lambda: encode(picture("L"), "BMP"),
    ("BMP", "16 bits, 5-5-5"): lambda: bmp(bmp_rows((5, 5, 5)), WIDTH, HEIGHT, 16),
    ("BMP", "16 bits, 5-6-5"): lambda: bmp(
        bmp_rows((5, 6, 5)), WIDTH, HEIGHT, 16, stored=3, extra=masks(0xF800, 0x7E0, 0x1F)
    ),
    ("BMP", "24 bits"): lambda: encode(picture(), "BMP"),
    ("BMP", "24 bits, from the top"): lambda: bmp(
        np.asarray(picture())[..., ::-1].tobytes(), WIDTH, -HEIGHT, 24, header=64
    ),
    ("BMP", "24 bits, OS/2"): lambda: bmp(bmp_rows((8, 8, 8)), WIDTH, HEIGHT, 24, header=12),
    ("BMP", "32 bits"): lambda: bmp(bmp_rows((8, 8, 8, 8)), WIDTH, HEIGHT, 32, header=52),
    ("BMP", "32 bits, alpha"): lambda: bmp(
        bmp_rows((8, 8, 8, 8)), WIDTH, HEIGHT, 32, header=124, stored=3, extra=masks(0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    ),
    ("AVIF", "RGB"): lambda: encode(picture(), "AVIF"),
    ("AVIF", "grey"): lambda: encode(picture("L"), "AVIF"),
    ("AVIF", "RGBA"): lambda: encode(with_alpha(picture()), "AVIF"),
    ("AVIF", "animated"): lambda: animated("AVIF"),
    ("AVIF", "profile"): lambda: encode(picture(), "AVIF", icc_profile=profile()),
    ("AVIF", "orientation 6"): lambda: sideways("AVIF"),
    ("HEIC", "RGB"): lambda: encode(picture(), "HEIF"),
    ("HEIC", "grey"): lambda: encode(picture("L"), "HEIF"),
    ("HEIC", "RGBA"): lambda: encode(with_alpha(picture()), "HEIF"),
    ("HEIC", "10 bits"): ten_bits,
    ("HEIC", "tiled"): lambda: encode(picture(), "HEIF", tile_size=64),
    ("HEIC", "profile"): lambda: encode(picture(), "HEIF", icc_profile=profile()),
    ("HEIC", "orientation 6"): lambda: sideways("HEIF"),
}


# (mean, largest) in levels of 255: at the picture's own size, and resized.
TOLERANCES = {
    "plain": ((0, 0), (0.3, 1)),
    "with alpha or a clear colour": ((0.1, 1), (0.3, 1.5)),
    "with a profile (colours outside sRGB are cut off after averaging)": ((0.2, 2), (0.5, 16)),
    "1600 x 1200, averaged down first": ((0.5, 3), (0.5, 3)),
    "1600 x 1200 with a profile": ((0.5, 16), (0.5, 16)),
}
PLAIN, ALPHA, PROFILE, LARGER, LARGER_PROFILE = TOLERANCES


def family(kind):
    """The row of `TOLERANCES` that a kind of picture belongs to."""
    large = kind.startswith("1600")
    if "profile" in kind:
        return LARGER_PROFILE if large else PROFILE
    if "alpha" in kind or "RGBA" in kind or "clear" in kind:
        return ALPHA
    return LARGER if large else PLAIN


def tolerance(kind, recipe):
    """(mean, largest) in levels of 255."""
    same_size, resized = TOLERANCES[family(kind)]
    return same_size if recipe == "as it is" else resized


def rows():
    """Every kind by two recipes, and every recipe by six kinds."""
    wide = [("JPEG", "baseline"), ("JPEG", "1600 x 1200"), ("PNG", "RGBA"), ("WebP", "lossy"), ("AVIF", "RGB")]
    wide.append(("HEIC", "orientation 6"))
    for format, kind in KINDS:
        for recipe in RECIPES if (format, kind) in wide else ("as it is", "usual"):
            yield Row(format, kind, recipe, *tolerance(kind, recipe))


ROWS = list(rows())


def table():
    """The tolerances as the document shows them."""
    lines = (f"| {name} | {_pair(same)} | {_pair(resized)} |\n" for name, (same, resized) in TOLERANCES.items())
    return HEAD + "".join(lines)


def _pair(numbers):
    return ", ".join(f"{number:g}" for number in numbers)


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(HEAD)
    after = rest[rest.index("\n\n") :] if "\n\n" in rest else "\n"
    PAGE.write_text(before + table() + after.removeprefix("\n"), encoding="utf-8")
