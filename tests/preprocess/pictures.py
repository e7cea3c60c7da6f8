"""Pictures for the tests, made on the spot, and the plain way to a tensor that ours is held against."""

import io
import struct
import zlib

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, ImageOps

from preprocess import Limits, Recipe
from preprocess.decode import decode

pillow_heif.register_heif_opener()  # so that Pillow writes the format; our decoder does without

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


# Primaries as ICC profiles hold them: XYZ of the three colours at full strength, adapted to D50.
SRGB = ((0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))


def profile(primaries=P3, gamma=2.2, space=b"RGB ", tags=None):
    """A display's ICC profile, version 2: colours to the power of `gamma`, then mixed of `primaries`."""
    curve = b"curv" + struct.pack(">4xIH", 1, round(gamma * 256))
    if tags is None:
        tags = {b"desc": b"desc" + struct.pack(">4xI", 1) + b"\0" * 79, b"wtpt": xyz((0.9642, 1.0, 0.8249))}
        if space == b"GRAY":
            tags |= {b"kTRC": curve}
        else:
            tags |= {name: xyz(colour) for name, colour in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)}
            tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    start = struct.pack(
        ">I4sI4s4s4s12x4s",
        132 + len(table) - 4 + len(body),
        b"none",
        0x02100000,
        kind,
        space,
        b"Lab " if space == b"CMYK" else b"XYZ ",
        b"acsp",
    )
    start = start.ljust(68, b"\0") + struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)  # D50
    return start.ljust(128, b"\0") + table + body


def xyz(colour):
    """A tag that holds one colour."""
    return b"XYZ " + struct.pack(">4xiii", *(round(part * 65536) for part in colour))


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


def bmp(rows, width, height, bits, *, header=40, stored=0, extra=b"", table=b""):
    """A BMP file of these bytes: `extra` ends the header, `table` holds the colours. Lines must be filled up."""
    if header == 12:
        info = struct.pack("<IHHHH", header, width, height, 1, bits)
    else:
        colours = len(table) // 4
        info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, stored, 0, 0, 0, colours, 0)
    info += extra.ljust(header - len(info), b"\0") if len(info) < header else extra
    start = 14 + len(info) + len(table)
    return struct.pack("<2sIII", b"BM", start + len(rows), 0, start) + info + table + rows


def gif(canvas, frame, colour, *, extensions=b"", flags=0):
    """A GIF file of one colour of a table of two, white and red: its picture fills `frame` (left, top, width,
    height) on `canvas` (width, height)."""
    left, top, width, height = frame
    codes, bits, count = bytearray(), 0, 0
    for code in [c for _ in range(width * height) for c in (4, colour)] + [5]:  # clear before each: no code grows
        bits |= code << count
        count += 3
        while count >= 8:
            codes.append(bits & 255)
            bits, count = bits >> 8, count - 8
    codes.append(bits)
    blocks = b"".join(bytes([len(part)]) + part for part in (codes[at : at + 255] for at in range(0, len(codes), 255)))
    screen = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0x80, 0, 0) + b"\xff\xff\xff\xff\0\0"
    picture = b"," + struct.pack("<HHHHB", left, top, width, height, flags) + b"\2" + blocks + b"\0"
    return screen + extensions + picture + b";"


def sixteen_bits(picture):
    """A PNG of `picture` (RGB) in 16 bits a sample."""
    rows = (np.asarray(picture).astype(">u2") * 257).reshape(picture.height, -1)
    return png(*picture.size, pixels([row.tobytes() for row in rows]), depth=16)


def plain_picture(data):
    """The upright, opaque RGB picture of `data`: everything in full size, nothing clever."""
    with Image.open(io.BytesIO(data)) as image:
        profile = image.info.get("icc_profile")
        image = ImageOps.exif_transpose(image)
    if image.mode == "I;16":
        return Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8)).convert("RGB")
    if image.mode == "CMYK" and profile:
        space = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(image, space, ImageCms.createProfile("sRGB"), outputMode="RGB")
    alpha = 1.0
    if image.mode in ("LA", "RGBA") or "transparency" in image.info:
        samples = np.asarray(image.convert("RGBA"), dtype=np.float64)
        samples, alpha = samples[..., :3], samples[..., 3:] / 255
    else:
        samples = np.asarray(image.convert("RGB"), dtype=np.float64)
    if profile:
        samples = from_p3(samples)
    return Image.fromarray((samples * alpha + 255 * (1 - alpha)).round().astype(np.uint8))


def from_p3(samples):
    """Samples of 0 to 255 in the colours of `profile()`, in sRGB: the formulas, and no library."""
    linear = (samples / 255) ** 2.2 @ np.array(P3) @ np.linalg.inv(np.array(SRGB))
    linear = linear.clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def plain_tensor(data, recipe: Recipe):
    """What `prepare` should write for `data`, in float64: the textbook way."""
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
    elif recipe.colour == "grey":
        values = (values @ [0.299, 0.587, 0.114])[..., None]
    values = (values * recipe.scale - np.array(recipe.mean)) / np.array(recipe.std)
    return values.transpose(2, 0, 1) if recipe.layout == "NCHW" else values


def distance(one, other):
    """(mean, largest) difference of two pictures or arrays."""
    difference = np.abs(np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64))
    return difference.mean(), difference.max()
