"""An image without its metadata shows the same picture, and nothing of what stood beside it is left."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageSequence, PngImagePlugin

from preprocess.header import read_header
from preprocess.limits import Limits
from preprocess.redact import without_metadata
from tests.preprocess.pictures import chunk, decoded, encode, photo, profile, segment, turned

CANARY = b"GPS-CANARY-48.8584N-2.2945E"
SPELLINGS = (CANARY, CANARY.decode().encode("utf-16-le"), CANARY.decode().encode("utf-16-be"))


def exif(orientation=1):
    """An EXIF block with a place, and words that tell it."""
    block = Image.Exif()
    block[0x0112] = orientation
    block[0x010E] = CANARY.decode()
    block.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.0), 0x1B: CANARY})
    return block.tobytes()


def jpeg(orientation=1, **options):
    """A JPEG with metadata in every place that there is, also behind the end and between the scans."""
    stored, _ = turned(photo(), orientation)
    thumbnail = segment(0xE0, b"JFXX\0\x10" + CANARY)
    notes = segment(0xFE, CANARY) + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + CANARY) + segment(0xED, CANARY)
    data = encode(stored, exif=exif(orientation), icc_profile=profile(), comment=CANARY, **options)
    scan = data.rindex(b"\xff\xda")
    head, rest = data[:scan], data[scan:]
    return head + notes + thumbnail + segment(0xE9, CANARY) + rest + b"second picture" + CANARY


def png(orientation=1):
    """A PNG with text of all kinds, a chunk of somebody's own, and bytes behind the end."""
    stored, _ = turned(photo(), orientation)
    words = PngImagePlugin.PngInfo()
    words.add_text("Comment", CANARY.decode())
    words.add_itxt("XML:com.adobe.xmp", CANARY.decode())
    data = encode(stored, "PNG", exif=exif(orientation), icc_profile=profile(), pnginfo=words)
    return data.replace(chunk(b"IEND", b""), chunk(b"gpSx", CANARY) + chunk(b"IEND", b"")) + CANARY


def webp(orientation=1):
    """A WebP with EXIF and XMP, and bytes behind the end."""
    stored, _ = turned(photo(), orientation)
    return encode(stored, "WEBP", lossless=True, exif=exif(orientation), xmp=CANARY, icc_profile=profile()) + CANARY


def animation(format, **options):
    """Three pictures, and words about them."""
    frames = [photo(mode="P" if format == "GIF" else "RGB").rotate(90 * turn) for turn in range(3)]
    file = io.BytesIO()
    frames[0].save(file, format, save_all=True, append_images=frames[1:], duration=40, **options)
    return file.getvalue()


def redacted(data):
    """Give the image without metadata."""
    return without_metadata(data, read_header(data, Limits()).format, Limits())


@pytest.mark.parametrize("orientation", [1, 6, 8])
@pytest.mark.parametrize("make", [jpeg, png, webp, lambda which: jpeg(which, progressive=True)])
def test_the_picture_stays_and_the_place_goes(make, orientation):
    """To the pixel, upright, with its colours; and a second time changes nothing."""
    data = make(orientation)
    clean = redacted(data)

    assert CANARY in data
    assert not any(spelling in clean for spelling in SPELLINGS)
    assert np.array_equal(np.asarray(decoded(data)), np.asarray(decoded(clean)))
    assert [0x0112] * (orientation > 1) == list(Image.open(io.BytesIO(clean)).getexif())
    assert Image.open(io.BytesIO(clean)).info["icc_profile"] == profile()
    assert clean == redacted(clean)


@pytest.mark.parametrize(
    "data",
    [
        animation("GIF", comment=CANARY),
        animation("WEBP", exif=exif(), xmp=CANARY, lossless=True),
        animation("PNG", exif=exif()),
    ],
    ids=["GIF", "WEBP", "PNG"],
)
def test_an_animation_keeps_its_pictures(data):
    """All of them, and how long each is shown."""
    clean = redacted(data)
    before, after = (Image.open(io.BytesIO(one)) for one in (data, clean))

    assert CANARY in data
    assert CANARY not in clean
    for old, new in zip(ImageSequence.Iterator(before), ImageSequence.Iterator(after), strict=True):
        assert old.convert("RGB").tobytes() == new.convert("RGB").tobytes()
        assert old.info.get("duration") == new.info.get("duration")


@pytest.mark.parametrize("format", ["AVIF", "HEIF", "BMP"])
def test_what_cannot_be_freed_of_metadata_is_given_up(format):
    """Its metadata may stand anywhere."""
    options = {} if format == "BMP" else {"exif": exif()}

    assert redacted(encode(photo(), format, **options)) is None


@pytest.mark.parametrize("make", [jpeg, png, webp])
def test_damage_is_given_up_or_survived(make):
    """Whatever byte is changed or lost: no error comes of it."""
    data, rng = make(6), np.random.default_rng(1)
    form = read_header(data, Limits()).format
    for at in rng.integers(12, len(data), 400):
        flipped = data[:at] + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :]
        for damaged in (flipped, data[:at], data[:at] + data[at + 1 :]):
            assert isinstance(without_metadata(damaged, form, Limits()), bytes | None)


def test_a_webp_says_what_it_holds():
    """The flags of its canvas go with the chunks."""
    clean = redacted(webp())

    assert b"VP8X" == clean[12:16]
    assert 0 == clean[20] & 0x0C
    assert len(clean) == struct.unpack_from("<I", clean, 4)[0] + 8
