"""Pictures for the tests, made on the spot, and the plain way to a tensor that ours is held against."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

from preprocess import Limits, Recipe
from preprocess.decode import decode

RGB = 2  # PNG colour types
GREY = 0


def photo(width=120, height=80, mode="RGB"):
    """A smooth picture whose corners differ, so that a turn, a flip or a swapped channel shows."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    red, green = 250 * x, 40 + 200 * y
    blue = 127 + 90 * np.sin(5 * x + 3 * y)
    picture = Image.fromarray(np.stack([red, green, blue], axis=-1).round().astype(np.uint8))
    return picture if mode == "RGB" else picture.convert(mode)


def with_alpha(picture):
    """`picture` with alpha rising from left to right."""
    alpha = np.tile(np.linspace(0, 255, picture.width).astype(np.uint8), (picture.height, 1))
    picture = picture.copy()
    picture.putalpha(Image.fromarray(alpha))
    return picture


def encode(picture, format="JPEG", **options):
    """The bytes of `picture`; JPEGs at high quality, so that little but our own work shows."""
    if format == "JPEG":
        options = {"quality": 95, "subsampling": 0} | options
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def turned(picture, orientation):
    """`picture` stored so that a reader who honours EXIF `orientation` sees it upright."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the inverse, as a value of Image.Transpose
    stored = picture.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else picture
    exif = Image.Exif()
    exif[0x0112] = orientation
    return stored, exif.tobytes()


def chunk(name, content):
    """One PNG chunk."""
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, *chunks, depth=8, colour=RGB):
    """A PNG file of these chunks; the first one, IHDR, and the last one, IEND, are added."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def pixels(rows):
    """The IDAT chunk of `rows`, each the packed bytes of one line."""
    return chunk(b"IDAT", zlib.compress(b"".join(b"\0" + bytes(row) for row in rows)))


def segment(marker, content):
    """One JPEG segment."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def decoded(data, target=None):
    """Our own upright picture of `data`."""
    return decode(data, target, Limits()).upright()


def plain_picture(data):
    """The upright, opaque RGB picture of `data`: everything in full size, nothing clever."""
    with Image.open(io.BytesIO(data)) as image:
        image = ImageOps.exif_transpose(image)
    if image.mode == "I;16":
        return Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8)).convert("RGB")
    if image.mode in ("LA", "RGBA") or "transparency" in image.info:
        samples = np.asarray(image.convert("RGBA"), dtype=np.float64)
        alpha = samples[..., 3:] / 255
        return Image.fromarray((samples[..., :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8))
    return image.convert("RGB")


def plain_tensor(data, recipe: Recipe):
    """What `prepare` should write for `data`, in float64: the textbook way, for 3 channels of RGB or BGR."""
    picture, size = plain_picture(data), (recipe.width, recipe.height)
    filter = Image.Resampling[recipe.resample.upper()]
    if recipe.fit == "stretch":
        picture = picture.resize(size, filter)
    elif recipe.fit == "cover":
        picture = ImageOps.fit(picture, size, filter)
    else:
        inner, frame = ImageOps.contain(picture, size, filter), Image.new("RGB", size, recipe.pad)
        frame.paste(inner, ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2))
        picture = frame
    values = np.asarray(picture, dtype=np.float64)
    if recipe.colour == "BGR":
        values = values[..., ::-1]
    values = (values * recipe.scale - np.array(recipe.mean)) / np.array(recipe.std)
    return values.transpose(2, 0, 1) if recipe.layout == "NCHW" else values


def distance(one, other):
    """(mean, largest) difference of two pictures or arrays."""
    difference = np.abs(np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64))
    return difference.mean(), difference.max()
