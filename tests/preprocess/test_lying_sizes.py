"""Files whose headers say one size and whose streams hold another: refused before anything is unpacked."""

import struct
import time

import pytest

from preprocess import CorruptImage, Limits, TooManyPixels, UnsupportedFormat, read_header
from preprocess.cost import decode_seconds
from preprocess.decode import decode
from tests.preprocess.boxes import ALPHA, Item, box, file, grid, imir, irot, ispe, items, overlay, said
from tests.preprocess.pictures import decoded, distance, encode, photo, with_alpha

LIMITS = Limits()
AVIF, HEIC = encode(photo(200, 100), "AVIF", quality=90), encode(photo(256, 128), "HEIF", quality=90)
CLEAR = encode(with_alpha(photo(200, 100)), "AVIF", quality=90)
PLAIN = {"avif": items(AVIF)[0], "heic": items(HEIC)[0]}
SIZES = {"avif": (200, 100), "heic": (256, 128)}
FORMATS = pytest.mark.parametrize("format", ["avif", "heic"])


def tiled(format, rows, columns, size=None, said_size=None, content=None):
    """A grid of copies of one tile."""
    tile, (width, height) = PLAIN[format], SIZES[format]
    size = size or (columns * width, rows * height)
    whole = Item(
        b"grid",
        content or grid(rows, columns, *size),
        (ispe(*(said_size or size)),),
        of=tuple(range(2, 2 + rows * columns)),
    )
    return file(whole, *[tile] * (rows * columns), brand=format.encode())


@FORMATS
def test_what_the_tests_build_is_right(format):
    """A file put together here is the encoder's file, and so is a grid of it."""
    whole = decoded(file(PLAIN[format], brand=format.encode()))

    assert distance(whole, decoded({"avif": AVIF, "heic": HEIC}[format])) == (0, 0)
    assert decoded(tiled(format, 2, 2)).size == tuple(2 * side for side in SIZES[format])
    assert decoded(tiled(format, 2, 2, size=(300, 150))).size == (300, 150)


@FORMATS
@pytest.mark.parametrize("size", [(64, 64), (199, 100), (200, 101), (4000, 3000)])
def test_a_stream_of_another_size(format, size):
    """Smaller or larger than the file says, it is another picture."""
    with pytest.raises(CorruptImage):
        decode(file(said(PLAIN[format], *size), brand=format.encode()), None, LIMITS)


def test_a_stream_of_another_size_behind_an_honest_record():
    """The decoder follows the sequence header in the stream, not the copy of it in the boxes."""
    small = items(encode(photo(64, 64), "AVIF"))[0]
    liar = small._replace(content=PLAIN["avif"].content)

    with pytest.raises(CorruptImage):
        decode(file(liar), None, LIMITS)


def test_a_second_frame_in_the_stream():
    """Frames that nobody sees are decoded all the same."""
    item = PLAIN["avif"]

    with pytest.raises(CorruptImage):
        decode(file(item._replace(content=item.content * 3)), None, LIMITS)


def test_a_second_picture_in_the_stream():
    """In a HEIC, too."""
    item = PLAIN["heic"]

    with pytest.raises(CorruptImage):
        decode(file(item._replace(content=item.content * 2), brand=b"heic"), None, LIMITS)


@FORMATS
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"said_size": (64, 64)}, id="a canvas larger than it says"),
        pytest.param({"size": (200, 100)}, id="rows of tiles that nobody sees"),
        pytest.param({"size": (600, 300)}, id="tiles that leave some of it free"),
        pytest.param({"content": grid(1, 2, 400, 200)}, id="fewer places than tiles"),
        pytest.param({"content": b"\0\0"}, id="no room for its size"),
    ],
)
def test_a_grid_that_does_not_fit(format, change):
    """Its canvas, its tiles and their number must agree."""
    with pytest.raises(CorruptImage):
        decode(tiled(format, 2, 2, **change), None, LIMITS)


@FORMATS
def test_a_tile_of_another_size(format):
    """Each tile's stream is looked at, not the first alone."""
    tile, (width, height) = PLAIN[format], SIZES[format]
    other = items(encode(photo(400, 300), {"avif": "AVIF", "heic": "HEIF"}[format]))[0]
    whole = Item(b"grid", grid(1, 2, 2 * width, height), (ispe(2 * width, height),), of=(2, 3))

    with pytest.raises(CorruptImage):
        decode(file(whole, tile, said(other, width, height), brand=format.encode()), None, LIMITS)


def test_all_tiles_count():
    """A grid of 64 x 64 whose tiles hold a hundred times the pixels that are allowed."""
    tile = PLAIN["avif"]
    whole = Item(b"grid", grid(10, 10, 64, 64), (ispe(64, 64),), of=(2,) * 100)

    with pytest.raises(TooManyPixels):
        read_header(file(whole, said(tile, 7000, 7000)), LIMITS)


def test_an_overlay_is_as_large_as_it_says():
    """Its canvas is made by its own size, which may be another than that of its box."""
    tile = PLAIN["heic"]

    def laid(said_size):
        content = overlay(300, 200, [(0, 0), (40, 60)])
        return file(Item(b"iovl", content, (ispe(*said_size),), of=(2, 3)), tile, tile, brand=b"heic")

    assert decoded(laid((300, 200))).size == (300, 200)
    with pytest.raises(CorruptImage):
        decode(laid((64, 64)), None, LIMITS)


def test_a_picture_made_of_itself():
    """Items that refer to one another in a circle are refused by the header."""
    circle = Item(b"grid", grid(1, 1, 64, 64), (ispe(64, 64),), of=(2,))

    with pytest.raises(CorruptImage):
        read_header(file(circle, circle._replace(of=(1,))), LIMITS)


def test_items_that_double_at_each_step():
    """A few items that are each made of two others cost no more than their bound to refuse."""
    chain = [Item(b"grid", grid(1, 200, 64, 64), (ispe(64, 64),), of=(n + 2,) * 200) for n in range(12)]
    begun = time.process_time()

    with pytest.raises((CorruptImage, TooManyPixels)):
        read_header(file(*chain, PLAIN["avif"]), LIMITS)

    assert time.process_time() - begun < 0.05


def test_alpha_of_another_size():
    """The alpha plane is decoded too."""
    colour, alpha = items(CLEAR)
    large = items(encode(with_alpha(photo(400, 300)), "AVIF"))[1]

    assert decoded(file(colour, alpha)).size == (200, 100)
    with pytest.raises(CorruptImage):
        decode(file(colour, said(large, 200, 100)), None, LIMITS)
    with pytest.raises(TooManyPixels):
        read_header(file(colour, said(alpha, 20_000, 20_000)), LIMITS)


def test_alpha_and_tiles_are_in_the_cost():
    """What is decoded beside the picture costs time."""
    plain, clear = (read_header(data, LIMITS) for data in (AVIF, CLEAR))

    assert clear.extra > 0 == plain.extra
    assert decode_seconds(clear, 1000) > decode_seconds(plain, 1000)


def test_an_item_that_nobody_decodes_may_say_anything():
    """A depth map, a thumbnail or a gain map is no part of the picture."""
    large = said(PLAIN["avif"], 9_000, 9_000)
    depth = large._replace(alpha_of=1, properties=(*large.properties, box(b"auxC", b"urn:x:depth\0", version=0)))

    assert decoded(file(PLAIN["avif"], depth)).size == (200, 100)


def test_a_primary_item_of_another_codec():
    """A whole file of a kind that is not read is not damaged."""
    with pytest.raises(UnsupportedFormat):
        read_header(file(PLAIN["avif"]._replace(kind=b"j2k1")), LIMITS)


def test_what_stands_twice_is_refused():
    """Of two lists one reader might take the first, another the last."""
    data = file(PLAIN["avif"])
    meta = data.index(b"meta") - 4
    length = struct.unpack_from(">I", data, meta)[0]
    twice = box(b"pitm", struct.pack(">H", 1), version=0)
    longer = struct.pack(">I", length + len(twice)) + data[meta + 4 : meta + length] + twice + data[meta + length :]

    with pytest.raises(CorruptImage):
        read_header(data[:meta] + longer, LIMITS)


def test_a_film_beside_the_still_picture_is_not_decoded():
    """Of a file that calls itself a film the still picture counts, whatever its film holds."""
    still, film = photo(64, 64), photo(64, 64).rotate(180)
    data = encode(still, "AVIF", save_all=True, append_images=[film], quality=90)

    assert distance(decoded(data), still)[0] < 3
    assert data[8:12] == b"avis"


def webp(name, width, height, canvas=None, frame=None):
    """A lossy stream of one size on a canvas, or in a frame of an animation, of another."""
    data = encode(photo(width, height), "WEBP", lossless=name == b"VP8L")
    stream = data[12:]
    if frame:
        left, top, frame_width, frame_height = frame
        head = b"".join(n.to_bytes(3, "little") for n in (left // 2, top // 2, frame_width - 1, frame_height - 1))
        content = head + b"\0\0\0\0" + stream
        stream = b"ANIM\6\0\0\0" + b"\0" * 6 + b"ANMF" + struct.pack("<I", len(content)) + content
    size = b"".join((side - 1).to_bytes(3, "little") for side in canvas)
    body = b"WEBPVP8X\x0a\0\0\0" + bytes([2 if frame else 0]) + b"\0" * 3 + size + stream
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("name", [b"VP8 ", b"VP8L"])
@pytest.mark.parametrize(
    ("canvas", "frame"),
    [
        ((32, 32), None),
        ((400, 300), None),
        ((64, 64), (0, 0, 16, 16)),
        ((64, 64), (32, 32, 60, 40)),
        ((20, 20), (0, 0, 60, 40)),
    ],
)
def test_a_webp_of_another_size_than_its_canvas(name, canvas, frame):
    """Stream, frame and canvas must agree; the decoder's own look comes after ours."""
    with pytest.raises(CorruptImage):
        decode(webp(name, 60, 40, canvas, frame), None, LIMITS)


@pytest.mark.parametrize("name", [b"VP8 ", b"VP8L"])
def test_a_webp_that_agrees(name):
    """Both ways to hold a picture, as built here, are right."""
    assert decoded(webp(name, 60, 40, (60, 40))).size == (60, 40)
    assert decoded(webp(name, 60, 40, (100, 80), (40, 40, 60, 40))).size == (100, 80)


def test_alpha_urn_is_the_encoders():
    """The name by which alpha is told is that which encoders write."""
    assert any(ALPHA in each for each in items(CLEAR)[1].properties)


def test_turns_do_not_change_what_is_decoded():
    """Properties that turn stand beside the size, and are none of it."""
    item = PLAIN["avif"]

    assert read_header(file(item._replace(properties=(*item.properties, irot(1), imir(0)))), LIMITS).extra == 0
