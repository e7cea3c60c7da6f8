"""Foreign pictures by the folder: what becomes of each, and how far it is from what Pillow alone makes of it.

python -m tests.preprocess.corpora FOLDER [FOLDER ...] [--each]

Pillow's plain way is the reference: open, load, turn by EXIF, convert by the profile, lay over white. `--each` lists
every file that is refused or that differs; without it, there is a line per folder and outcome.
"""

import io
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, ImageOps

from preprocess import ImageError, Limits
from preprocess.decode import decode

SAME = 2.0  # levels of 255, on average: rounding, and the order of averaging and converting
LIMITS = Limits()


class Row(NamedTuple):
    """One file. `ours` is "answered" or a code; `reference` is "answered" or the name of an exception."""

    path: Path
    ours: str
    reference: str
    difference: float | None
    seconds: float

    @property
    def verdict(self):
        if self.ours != "answered":
            return f"{self.ours}, reference {'answers' if self.reference == 'answered' else 'fails'}"
        if self.difference is None:
            return "answered, reference fails"
        return "same" if self.difference <= SAME else "differs"


def reference(data):
    """The upright, opaque picture in RGB, by Pillow."""
    with Image.open(io.BytesIO(data)) as image:
        if image.width * image.height > 2 * LIMITS.max_pixels:
            raise ValueError("too large")
        image.load()
        profile = image.info.get("icc_profile")
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        clear = image.info.get("transparency")
        samples = np.asarray(image)
        image = Image.fromarray((samples >> 8).clip(0, 255).astype(np.uint8))
        if clear is not None:
            image.putalpha(Image.fromarray(np.where(samples == clear, 0, 255).astype(np.uint8)))
    if "transparency" in image.info or image.mode in ("P", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colours = image.convert("RGB") if image.mode not in ("L", "RGB", "CMYK") else image
    colours = in_srgb(colours, profile).convert("RGB")
    if alpha:
        white = Image.new("RGB", image.size, "white")
        white.paste(colours, mask=alpha)
        return white
    return colours


def in_srgb(image, profile):
    if not profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), intent, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image


def judge(path):
    data = path.read_bytes()
    begun = time.process_time()
    try:
        picture, ours = decode(data, None, LIMITS).upright().convert("RGB"), "answered"
    except ImageError as error:
        picture, ours = None, error.code
    seconds = time.process_time() - begun
    try:
        other, theirs = reference(data), "answered"
    except Exception as error:
        other, theirs = None, type(error).__name__
    return Row(path, ours, theirs, distance(picture, other) if picture and other else None, seconds)


def distance(one, other):
    """Levels of 255 on average; 255 for pictures of different sizes."""
    if one.size != other.size:
        return 255.0
    return float(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).mean())


def main(arguments):
    warnings.simplefilter("ignore")
    pillow_heif.register_heif_opener()
    each = "--each" in arguments
    for folder in (Path(one) for one in arguments if one != "--each"):
        rows = [judge(path) for path in sorted(folder.rglob("*")) if path.is_file()]
        counts = Counter(row.verdict for row in rows)
        print(f"{folder.name}: {len(rows)} files, slowest {max((row.seconds for row in rows), default=0):.2f} s CPU")
        for verdict, count in counts.most_common():
            print(f"  {count:5d} {verdict}")
        for row in rows if each else ():
            if row.verdict != "same":
                difference = "" if row.difference is None else f" {row.difference:.1f}"
                print(f"    {row.path.relative_to(folder)}: {row.verdict}{difference} ({row.reference})")


if __name__ == "__main__":
    main(sys.argv[1:])
