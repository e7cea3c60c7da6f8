"""Small files that ask for a lot of work or memory are refused, soon and without either."""

import io
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest

from preprocess import CorruptImage, ImageError, Limits, Recipe, TooManyPixels
from preprocess.tensor import prepare
from tests.preprocess.mutations import peak_bytes
from tests.preprocess.pictures import chunk, gif, photo, pixels, png

RECIPE = Recipe(width=32, height=32)
LIMITS = Limits()


def run(data):
    """CPU seconds until `prepare` answers or refuses, and what it raised: the lesser of two tries, since the
    first may find a busy machine."""
    slot = np.zeros(RECIPE.shape, np.float32)
    tries = []
    for _ in range(2):
        raised, begun = None, time.process_time()
        try:
            prepare(data, RECIPE, slot, LIMITS)
        except ImageError as error:
            raised = type(error)
        tries.append(time.process_time() - begun)
    return min(tries), raised


def pixel_bomb(side):
    """A black PNG: its file is a thousandth of its pixels."""
    rows = zlib.compress(b"\0" * (1 + side) * side)
    return png(side, side, chunk(b"IDAT", rows), colour=0)


PIXEL_BOMBS = {
    "PNG of 169 megapixels": (lambda: pixel_bomb(13_000), TooManyPixels),
    "60000 x 1": (lambda: png(60_000, 1, pixels([b"\0" * 180_000])), TooManyPixels),
    "1 x 60000": (lambda: png(1, 60_000, pixels([b"\0" * 3] * 60_000)), TooManyPixels),
    "no width": (lambda: png(0, 60_000, pixels([b""])), CorruptImage),
}


@pytest.mark.parametrize("name", PIXEL_BOMBS)
def test_pixel_bomb(name):
    """Refused by its header within 50 ms."""
    make, expected = PIXEL_BOMBS[name]

    seconds, raised = run(make())

    assert raised is expected
    assert seconds < 0.05


def test_a_pixel_bomb_takes_no_memory(tmp_path):
    """The peak of a process that refuses one is that of a process that has not seen it, within 5 MB."""
    path = tmp_path / "bomb.png"
    path.write_bytes(pixel_bomb(13_000))
    code = (
        "import sys\n"
        "from tests.preprocess.mutations import peak_bytes\n"
        "from tests.preprocess.test_bombs import run\n"
        "data = open(sys.argv[1], 'rb').read()\n"
        "before = peak_bytes()\n"
        "assert run(data)[1] is not None\n"
        "print(peak_bytes() - before)"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, timeout=60, check=True, capture_output=True, text=True)

    assert int(done.stdout) < 5e6


def animated_png(frames):
    """A picture of one pixel, and as many more."""
    control = struct.pack(">IIIIIHHBB", 0, 1, 1, 0, 0, 1, 100, 0, 0)
    parts = [chunk(b"acTL", struct.pack(">II", frames, 0)), chunk(b"fcTL", control), pixels([b"\0\0\0"])]
    more = chunk(b"fcTL", control) + chunk(b"fdAT", b"\0\0\0\1" + zlib.compress(b"\0\0\0\0"))
    return png(1, 1, *parts, more * (frames - 1))


def animated_webp(frames):
    """One small picture, repeated."""
    file = io.BytesIO()
    photo(16, 16).save(file, "WEBP", save_all=True, append_images=[photo(16, 16).rotate(90)], lossless=True)
    data = file.getvalue()
    at = data.index(b"ANMF")
    frame = data[at : at + 8 + struct.unpack("<I", data[at + 4 : at + 8])[0]]
    frame += b"\0" * (len(frame) % 2)
    body = data[8:at] + frame * frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


def animated_gif(frames):
    """One picture of one pixel, repeated."""
    data = gif((1, 1), (0, 0, 1, 1), 1)
    at = data.index(b",")
    return data[:at] + data[at:-1] * frames + b";"


def text_bomb(chunks):
    """Comments that grow to a megabyte each."""
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 1_000_000))
    return png(1, 1, text * chunks, pixels([b"\0\0\0"]))


CHUNK_BOMBS = {
    "APNG of 10,000 frames": animated_png(10_000),
    "WebP of 10,000 frames": animated_webp(10_000),
    "GIF of 10,000 frames": animated_gif(10_000),
    "PNG of 100,000 chunks": png(1, 1, pixels([b"\0\0\0"]), chunk(b"teSt", b"") * 100_000),
    "GIF of crumbs": gif((1, 1), (0, 0, 1, 1), 1)[:-1] + b"!\xfe" + b"\1a" * 1_000_000 + b"\0;",
}


@pytest.mark.parametrize("name", CHUNK_BOMBS)
def test_chunk_bomb(name):
    """Refused within 100 ms."""
    seconds, raised = run(CHUNK_BOMBS[name])

    assert raised is CorruptImage
    assert seconds < 0.1


UNREAD = {
    "PNG of 500 comments of a megabyte": text_bomb(500),
    "PNG whose comment is very long": png(
        1, 1, chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 50_000_000)), pixels([b"\0\0\0"])
    ),
    "PNG whose profile is very long": png(
        1, 1, chunk(b"iCCP", b"profile\0\0" + zlib.compress(b"a" * 50_000_000)), pixels([b"\0\0\0"])
    ),
}


@pytest.mark.parametrize("name", UNREAD)
def test_what_nobody_reads_is_not_unpacked(name):
    """Texts beside the picture harm nothing, and a profile is unpacked up to its bound: within 50 ms."""
    seconds, raised = run(UNREAD[name])

    assert raised is None
    assert seconds < 0.05


@pytest.mark.parametrize("make", [animated_png, animated_webp, animated_gif])
def test_an_animation_is_no_bomb(make):
    """Of a few hundred pictures the first one is the answer."""
    seconds, raised = run(make(500))

    assert raised is None
    assert seconds < 0.1


def test_a_frame_may_not_be_larger_than_its_canvas():
    """The size of a WebP's canvas is held against the limits, so nothing may be made by the size of a frame."""
    data = bytearray(animated_webp(2))
    at = data.index(b"ANMF") + 8
    data[at + 6 : at + 12] = b"\x7f\xff\xff\xff\0\0"  # 16,777,088 x 256
    before = peak_bytes()

    assert run(bytes(data))[1] is CorruptImage
    assert peak_bytes() - before < 5e6


def test_pixels_nobody_asked_for_are_not_unpacked():
    """A PNG whose stream goes on for 100 MB behind its picture costs what the picture costs."""
    stream = zlib.compress(b"\0" * 100_000_000, 1)

    assert run(png(4, 4, chunk(b"IDAT", stream)))[0] < 0.1
