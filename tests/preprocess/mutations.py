"""Damaged files by the thousand, the same for the same seed. By hand, for as many as there is time for:

python -m tests.preprocess.mutations 20000
"""

import re
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from preprocess import ImageError, Limits, Recipe
from preprocess.tensor import prepare
from tests.preprocess.pictures import encode, photo, profile, turned, with_alpha

# A limit that no file below comes near, so that a damaged size costs no test run its memory.
LIMITS = Limits(max_pixels=4_000_000)
RECIPES = (
    Recipe(width=32, height=32),
    Recipe(width=48, height=16, fit="contain", resample="nearest", dtype="uint8", colour="grey"),
)


def good_files():
    """One small file of every kind whose decoding takes a path of its own."""
    small, clear = photo(90, 70), with_alpha(photo(60, 40))
    others = [photo(90, 70, "L").convert("RGB"), photo(90, 70)]
    _, exif = turned(small, 6)
    return {
        "JPEG": encode(small, exif=exif, icc_profile=profile()),
        "JPEG progressive": encode(small, progressive=True),
        "JPEG CMYK": encode(photo(60, 40, "CMYK")),
        "JPEG grey": encode(photo(60, 40, "L")),
        "MPO": encode(small, "MPO", save_all=True, append_images=others),
        "PNG": encode(clear, "PNG", exif=exif, icc_profile=profile()),
        "PNG palette": encode(photo(mode="P"), "PNG", transparency=bytes(range(256))),
        "PNG interlaced": encode(small, "PNG", interlace=True),
        "APNG": encode(small, "PNG", save_all=True, append_images=others),
        "WebP lossy": encode(small, "WEBP"),
        "WebP lossless": encode(clear, "WEBP", lossless=True),
        "WebP alpha": encode(clear, "WEBP", exif=exif, icc_profile=profile()),
        "WebP animated": encode(small, "WEBP", save_all=True, append_images=others),
        "GIF": encode(photo(60, 40, "P"), "GIF"),
        "GIF animated": encode(small, "GIF", save_all=True, append_images=others, transparency=3),
        "BMP": encode(small, "BMP"),
        "BMP palette": encode(photo(60, 40, "P"), "BMP"),
        "BMP alpha": encode(clear, "BMP"),
        "AVIF": encode(small, "AVIF", exif=exif, icc_profile=profile()),
        "AVIF alpha": encode(clear, "AVIF"),
        "AVIF animated": encode(photo(64, 64), "AVIF", save_all=True, append_images=[photo(64, 64)]),
        "HEIC": encode(small, "HEIF", exif=exif, icc_profile=profile()),
        "HEIC tiled": encode(photo(200, 150), "HEIF", tile_size=64),
        "HEIC alpha": encode(clear, "HEIF"),
    }


def mutations(files, seed):
    """Yield (name, damaged bytes) for ever: cut, filled up, flipped, overwritten, spliced, or two of these."""
    random, names = np.random.default_rng(seed), list(files)
    while True:
        name, other = (names[random.integers(len(names))] for _ in range(2))
        data = bytearray(files[name])
        for _ in range(random.integers(1, 3)):
            _damage(data, files[other], random)
        yield name, bytes(data)


def _damage(data, other, random):
    size = len(data)
    if not size:
        return
    # The first hundred bytes hold what readers trust most: they get half of the damage.
    start = int(random.integers(min(size, 100) if random.integers(2) else size))
    match random.integers(6):
        case 0:
            del data[start:]
        case 1:
            data[start:] = bytes([random.choice([0, 255])]) * (size - start)
        case 2:
            for at in random.integers(start, min(size, start + 200), size=random.integers(1, 8)):
                data[at] ^= 1 << random.integers(8)
        case 3:
            for at in random.integers(size, size=random.integers(1, 30)):
                data[at] = random.integers(256)
        case 4:
            number = int(random.choice([0, 1, 255, 65535, 2**31 - 1, 2**32 - 1]))
            data[start : start + 4] = number.to_bytes(4, "big")
        case _:
            end, take = int(random.integers(start, size + 1)), int(random.integers(len(other)))
            data[start:end] = other[take : take + int(random.integers(1, 400))]


def outcome(data, recipe, slot):
    """The code of what is wrong with `data`, or "answered"; whatever is no ImageError goes through."""
    try:
        prepare(data, recipe, slot, LIMITS)
    except ImageError as error:
        return error.code
    return "answered"


def timed(data, recipe, slot):
    """(CPU seconds, outcome)."""
    begun = time.process_time()
    code = outcome(data, recipe, slot)
    return time.process_time() - begun, code


def peak_bytes():
    """The most memory this process has held."""
    if sys.platform == "linux":  # where getrusage also counts what its parent held when it was started
        status = Path("/proc/self/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(count, seed):
    slots = [np.zeros(recipe.shape, recipe.dtype) for recipe in RECIPES]
    counts, slowest, files = Counter(), (0.0, "", b""), good_files()
    for number, (name, data) in zip(range(count), mutations(files, seed), strict=False):
        if number == count // 10:  # what decoders allocate once is there by now
            before = peak_bytes()
        seconds, code = timed(data, RECIPES[number % 2], slots[number % 2])
        counts[code] += 1
        if seconds > slowest[0]:  # once more: the first time may have been somebody else's doing
            seconds = min(seconds, timed(data, RECIPES[number % 2], slots[number % 2])[0])
            slowest = max(slowest, (seconds, name, data))
    growth = peak_bytes() - before
    print(dict(counts))
    print(f"peak memory grew by {growth >> 10} KiB after the first tenth, to {(before + growth) >> 20} MiB")
    path = Path(tempfile.gettempdir(), "slowest.bin")
    path.write_bytes(slowest[2])
    print(f"slowest: {slowest[0] * 1000:.1f} ms CPU, {slowest[1]}, {len(slowest[2])} bytes, kept as {path}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
