"""Whole pictures with oddities around them, as phones, scanners, editors and Windows write them."""

import gzip
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from preprocess import CorruptImage, Limits, TruncatedImage, UnsupportedFormat, read_header
from preprocess.decode import decode
from preprocess.exif import orientation
from preprocess.formats import jpeg
from tests.preprocess.boxes import box, clap, file, imir, irot, items
from tests.preprocess.pictures import bmp, chunk, decoded, distance, encode, gif, photo, profile, segment, turned

LIMITS = Limits()
PICTURE = photo(48, 32)
JPEG, PROGRESSIVE = encode(PICTURE), encode(PICTURE, progressive=True)
PNG, PALETTE = encode(PICTURE, "PNG"), encode(PICTURE.quantize(8), "PNG")


def broken(name, content):
    """A PNG chunk with a wrong checksum."""
    return chunk(name, content)[:-4] + b"\1\2\3\4"


def png_with(*chunks, data=PNG):
    """With chunks behind its header."""
    return data[:33] + b"".join(chunks) + data[33:]


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(broken(b"tEXt", b"Software\0Scanner"), id="text with a wrong checksum"),
        pytest.param(broken(b"iCCP", b"P3\0\0" + zlib.compress(profile())), id="profile with a wrong checksum"),
        pytest.param(broken(b"eXIf", turned(PICTURE, 6)[1][6:]), id="EXIF block with a wrong checksum"),
        pytest.param(broken(b"tRNS", b"\0\1\0\2\0\3"), id="clear colour with a wrong checksum"),
        pytest.param(broken(b"abCd", b"private"), id="private chunk with a wrong checksum"),
        pytest.param(chunk(b"pHYs", b"\0\0\x0b\x13"), id="short pHYs"),
        pytest.param(chunk(b"gAMA", b"\0"), id="short gAMA"),
        pytest.param(chunk(b"cHRM", b""), id="empty cHRM"),
        pytest.param(chunk(b"sRGB", b""), id="empty sRGB"),
        pytest.param(chunk(b"tRNS", b"\0"), id="short tRNS"),
        pytest.param(chunk(b"iCCP", b"sRGB\0\1x"), id="profile packed in an unknown way"),
        pytest.param(chunk(b"iCCP", b"sRGB"), id="profile of a name only"),
        pytest.param(chunk(b"iCCP", b"sRGB\0\0rubbish"), id="profile that is not packed"),
        pytest.param(chunk(b"zTXt", b"a\0\1x"), id="text packed in an unknown way"),
        pytest.param(chunk(b"zTXt", b"mxfile\0\0" + zlib.compress(b"<mxCell/>" * (5 << 17), 9)), id="text of 5 MiB"),
        pytest.param(chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(b"{}" * (5 << 20), 9)), id="iTXt of 10 MiB"),
        pytest.param(chunk(b"PLTE", b"\0" * 5), id="palette of a picture that needs none"),
        pytest.param(chunk(b"acTL", b"\0"), id="short acTL"),
        pytest.param(chunk(b"fcTL", b"\0" * 26), id="first frame without a size"),
        pytest.param(chunk(b"fcTL", b"\0" * 4), id="short fcTL"),
        pytest.param(chunk(b"exIF", b"\0" * 4), id="unknown chunk"),
    ],
)
def test_damage_beside_the_picture_of_a_png(odd):
    """libpng warns and goes on, browsers show it: so is it answered here, whatever stands in such a chunk."""
    assert distance(decoded(png_with(odd)), PICTURE) == (0, 0)


@pytest.mark.parametrize("odd", [broken(b"tRNS", b"\0"), chunk(b"tRNS", b"\0" * 9), chunk(b"tRNS", b"")])
def test_damage_to_what_is_clear_in_a_palette(odd):
    """More values than colours, or none: the picture is opaque, as in libpng."""
    at = PALETTE.index(b"IDAT") - 4

    assert distance(decoded(PALETTE[:at] + odd + PALETTE[at:]), decoded(PALETTE)) == (0, 0)


def test_pixels_behind_other_chunks_belong_to_nothing():
    """The IDAT chunks of a picture stand in a row: what comes after is no part of the stream."""
    end = PNG.rindex(b"IEND") - 4
    more = chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", b"\xff" * 100)

    assert distance(decoded(PNG[:end] + more + PNG[end:]), PICTURE) == (0, 0)


def test_what_the_picture_needs_must_be_whole():
    """Its header and its palette are checked as before."""
    at = PALETTE.index(b"PLTE") + 4 + 24

    with pytest.raises(CorruptImage):
        decoded(PALETTE[:at] + b"\0\0\0\0" + PALETTE[at + 4 :])


def jpeg_with(*segments, data=JPEG, jfif=True):
    """With segments at its start; without its own JFIF segment where they bring one."""
    return data[:2] + b"".join(segments) + data[2 if jfif else 20 :]


@pytest.mark.parametrize("data", [JPEG, PROGRESSIVE], ids=["baseline", "progressive"])
@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(segment(0xED, b"Photoshop 3.0\x008BIM\x07\xdb"), id="Photoshop, cut"),
        pytest.param(segment(0xED, b"Photoshop 3.0\x008BIM"), id="Photoshop, ended early"),
        pytest.param(segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0\0\0"), id="Photoshop, no resolution"),
        pytest.param(segment(0xEE, b"Adobe"), id="Adobe, cut"),
        pytest.param(segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\xff"), id="EXIF, cut"),
        pytest.param(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x"), id="XMP, cut"),
        pytest.param(segment(0xE2, b"ICC_PROFILE\0"), id="profile without its number"),
        pytest.param(segment(0xE2, b"ICC_PROFILE\0\1\2half"), id="half of a profile"),
        pytest.param(segment(0xE2, b"MPF\0"), id="MPF, cut"),
        pytest.param(segment(0xE2, b"FPXR\0"), id="FPXR, cut"),
        pytest.param(segment(0xFE, b""), id="empty comment"),
        pytest.param(b"".join(segment(0xE0 + n, b"") for n in range(1, 16)), id="all of them empty"),
    ],
)
def test_segments_that_libjpeg_ignores(data, odd):
    """What cameras and editors put into APP segments harms no picture."""
    assert distance(decoded(jpeg_with(odd, data=data)), decoded(data)) == (0, 0)


@pytest.mark.parametrize("content", [b"JFIF\0", b"JFIF\0\1\1", b"JFXX\0", b""])
def test_a_cut_jfif_segment(content):
    """libjpeg takes a short one for none."""
    assert distance(decoded(jpeg_with(segment(0xE0, content), jfif=False)), decoded(JPEG)) == (0, 0)


def test_colours_are_stored_as_adobes_segment_says():
    """RGB and CMYK without a transform are told by that segment alone: it stays."""
    plain = encode(PICTURE, keep_rgb=True)
    data = jpeg_with(segment(0xEE, b"Adobe\0\x64\0\0\0\0\0"), data=plain, jfif=True)

    assert distance(decoded(data), PICTURE)[0] < 2


def test_an_exif_block_in_two_segments_and_a_profile_in_any_order():
    """Blocks of more than 64 kB are split."""
    stored, exif = turned(PICTURE, 6)
    colours = profile()
    parts = [b"ICC_PROFILE\0\2\2" + colours[200:], b"ICC_PROFILE\0\1\2" + colours[:200]]
    data = encode(stored)
    both = jpeg_with(segment(0xE1, exif[:20]), segment(0xE1, b"Exif\0\0" + exif[20:]), data=data)
    both = jpeg_with(*(segment(0xE2, part) for part in parts), data=both)

    found = jpeg.extract(both, LIMITS)

    assert (exif, colours) == (found.exif, found.profile)
    assert decoded(both).size == (48, 32)


@pytest.mark.parametrize("data", [JPEG, PROGRESSIVE], ids=["baseline", "progressive"])
@pytest.mark.parametrize(
    "tail",
    [
        pytest.param((b"\xff\xda" + b"film" * 20) * 65, id="a film"),
        pytest.param(np.random.default_rng(1).bytes(5_000_000), id="5 MB"),
        pytest.param(b"\xff\xda" * 1000, id="marks"),
        pytest.param(JPEG[:300], id="half of another picture"),
    ],
)
def test_what_follows_the_end_is_not_looked_at(data, tail):
    """Passes are counted up to the end of the picture, and the end is the picture's own."""
    assert distance(decoded(data + tail), decoded(data)) == (0, 0)
    with pytest.raises((TruncatedImage, CorruptImage)):
        decoded(data[: len(data) * 2 // 3] + b"\0" * 9)


def test_marks_inside_segments_between_passes_are_none():
    """A comment between two passes may hold any bytes."""
    at = PROGRESSIVE.rindex(b"\xff\xda")
    comment = segment(0xFE, b"\xff\xd9\xff\xda" * 200)

    assert distance(decoded(PROGRESSIVE[:at] + comment + PROGRESSIVE[at:]), decoded(PROGRESSIVE)) == (0, 0)
    with pytest.raises(TruncatedImage):
        decoded(PROGRESSIVE[:at] + comment)


def reframed(marker=0xC0, bits=8, components=3):
    content = struct.pack(">BHHB", bits, 32, 48, components) + b"\1\x11\0" * components
    return JPEG[:2] + segment(marker, content) + segment(0xDA, b"\1\1\0\0\x3f\0") + JPEG[-40:]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(reframed(0xC1, bits=12), id="JPEG of 12 bits"),
        pytest.param(reframed(0xC3, bits=16), id="lossless JPEG of 16 bits"),
        pytest.param(reframed(0xC5), id="hierarchical JPEG"),
        pytest.param(reframed(0xCB), id="lossless JPEG with arithmetic coding"),
        pytest.param(reframed(components=2), id="JPEG of two components"),
        pytest.param(reframed(0xF7), id="JPEG-LS"),
        pytest.param(PNG[:8] + chunk(b"CgBI", b"\0" * 4) + PNG[8:], id="PNG as Apple's tools rewrite it"),
        pytest.param(b'<svg xmlns="http://www.w3.org/2000/svg"/>', id="SVG"),
        pytest.param(b"\xef\xbb\xbf\n <?xml version='1.0'?>\n<!-- a <svg> -->\n<svg>", id="SVG behind a prologue"),
        pytest.param(b"<!DOCTYPE svg [<!ENTITY a 'b'>]><svg:svg xmlns:svg='x'>", id="SVG with a prefix"),
        pytest.param("<svg/>".encode("utf-16"), id="SVG of 16 bits a letter"),
        pytest.param(gzip.compress(b"<svg/>"), id="packed SVG"),
        pytest.param(encode(PICTURE, "PPM"), id="PPM"),
        pytest.param(encode(PICTURE, "ICO"), id="ICO"),
        pytest.param(encode(PICTURE, "DDS"), id="DDS"),
        pytest.param(encode(PICTURE, "TIFF"), id="TIFF"),
        pytest.param(encode(PICTURE, "JPEG2000"), id="JPEG 2000"),
    ],
)
def test_a_whole_file_that_is_not_read_is_not_damaged(data):
    """The sender is told to send another format, not that a good file is broken."""
    with pytest.raises(UnsupportedFormat):
        read_header(data, LIMITS)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["B", "H", "I", "b", "h", "i"])
def test_an_orientation_is_a_number_of_any_kind(order, kind):
    """The standard has a SHORT; phones are known that write a LONG."""
    number = {"B": 1, "H": 3, "I": 4, "b": 6, "h": 8, "i": 9}[kind]
    entry = struct.pack(order + "HHI", 0x112, number, 1) + struct.pack(order + kind, 6).ljust(4, b"\0")
    block = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, 1) + entry + b"\0" * 4
    sideways = PICTURE.transpose(Image.Transpose.ROTATE_90)

    assert orientation(block) == 6
    for data in (
        jpeg_with(segment(0xE1, b"Exif\0\0" + block), data=encode(sideways)),
        encode(sideways, "PNG", exif=block),
    ):
        assert distance(decoded(data), PICTURE)[0] < 2


@pytest.mark.parametrize("name", [b"tEXt", b"zTXt"])
def test_an_exif_block_in_a_text_of_a_png(name):
    """ImageMagick wrote it so, in hexadecimal, before PNG had a chunk for it."""
    stored, exif = turned(PICTURE, 6)
    digits = exif.hex().encode()
    text = b"\nexif\n%8d\n" % len(exif) + b"\n".join(digits[at : at + 72] for at in range(0, len(digits), 72)) + b"\n"
    content = b"\0" + zlib.compress(text) if name == b"zTXt" else text
    data = encode(stored, "PNG")

    assert distance(decoded(png_with(chunk(name, b"Raw profile type exif\0" + content), data=data)), PICTURE) == (0, 0)
    assert decoded(png_with(chunk(name, b"Raw profile type exif\0" + content[:20]), data=data)).size == stored.size


def xmp(packet):
    """As editors write XMP into a GIF: plain text, and a ramp at its end that catches readers of blocks."""
    return b"!\xff\x0bXMP DataXMP" + packet + b"\1" + bytes(range(255, -1, -1)) + b"\0"


@pytest.mark.parametrize("size", [60_000, 400_000])
@pytest.mark.parametrize("letters", [b"<step n='1'>crop, curves, sharpen</step>\n", b" " * 40, b"\n" * 40])
def test_an_xmp_packet_in_a_gif(size, letters):
    """Its letters are lengths of blocks to whoever reads blocks; the bound is one on bytes."""
    if size == 400_000 and letters.isspace():
        letters = b"history of edits"
    plain = gif((20, 10), (0, 0, 20, 10), 1)

    assert distance(
        decoded(gif((20, 10), (0, 0, 20, 10), 1, extensions=xmp(letters * (size // 40)))), decoded(plain)
    ) == (0, 0)


def masked(masks, bits=32, header=40, alpha=255, stored=3):
    """The photo as a BMP whose pixels hold red, green, blue and alpha in the bits of `masks`."""
    samples = np.flipud(np.asarray(PICTURE.convert("RGBA"))).astype(np.uint64)
    samples[..., 3] = alpha
    numbers = np.zeros(samples.shape[:2], np.uint64)
    for channel, mask in enumerate(masks):
        if mask:
            low = (mask & -mask).bit_length() - 1
            numbers |= samples[..., channel] * (mask >> low) // 255 << np.uint64(low)
    rows = numbers.astype("<u4" if bits == 32 else "<u2").tobytes()
    fields = b"".join(mask.to_bytes(4, "little") for mask in masks)
    if header == 40:
        return bmp(rows, 48, 32, bits, stored=stored, extra=fields)
    return bmp(rows, 48, 32, bits, header=header, stored=stored, extra=fields)


@pytest.mark.parametrize(
    ("masks", "bits", "off"),
    [
        ((0xFF, 0xFF00, 0xFF0000), 32, 0),
        ((0xFF00, 0xFF0000, 0xFF000000), 32, 0),
        ((0xFF0000, 0xFF, 0xFF00), 32, 0),
        ((0x3FF00000, 0xFFC00, 0x3FF), 32, 1),
        ((0xFFE00000, 0x1FFC00, 0x3FF), 32, 1),
        ((0x1F, 0x7E0, 0xF800), 16, 9),
        ((0xF00, 0xF0, 0xF), 16, 18),
        ((0x7C00, 0x3E0, 0x1F), 16, 9),
    ],
)
@pytest.mark.parametrize("header", [40, 52, 56, 108, 124])
def test_a_bmp_may_hold_its_channels_anywhere(masks, bits, off, header):
    """Bit masks of every kind that Windows reads, within what their bits can hold."""
    assert distance(decoded(masked(masks, bits, header)), PICTURE)[1] <= off


@pytest.mark.parametrize("masks", [(0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0xFF, 0xFF00, 0xFF0000, 0xFF000000)])
@pytest.mark.parametrize("header", [56, 108, 124])
def test_alpha_that_is_0_everywhere_says_nothing(masks, header):
    """Writers that don't use the channel leave it so; where a single pixel is not clear, it counts."""
    data = masked(masks, header=header, alpha=0)
    place = data.rindex(b"\0") if data[-1] else len(data) - 1

    assert distance(decoded(data), PICTURE) == (0, 0)
    assert distance(decoded(masked(masks, header=header)), PICTURE) == (0, 0)
    clear = decoded(data[:place] + b"\xff" + data[place + 1 :])
    assert distance(clear, Image.new("RGB", (48, 32), "white"))[0] < 1


def test_alpha_in_16_bits_may_be_0_everywhere():
    """In other depths, too."""
    masks = (0xF00, 0xF0, 0xF, 0xF000)

    assert distance(decoded(masked(masks, 16, 108, alpha=0)), PICTURE)[1] <= 18


def test_masks_with_alpha_behind_a_short_header():
    """The way of Windows CE: four masks behind a header of 40 bytes."""
    data = masked((0xFF0000, 0xFF00, 0xFF, 0xFF000000), stored=6, alpha=0)

    assert distance(decoded(data), PICTURE) == (0, 0)


@pytest.mark.parametrize("bits", [24, 32])
@pytest.mark.parametrize("colours", [1, 256, 300])
def test_a_table_of_colours_that_nobody_needs(bits, colours):
    """With 24 bits it is a hint for screens of few colours."""
    samples = np.flipud(np.asarray(PICTURE))[..., ::-1]
    if bits == 32:
        samples = np.concatenate([samples, np.zeros((32, 48, 1), np.uint8)], axis=-1)

    assert distance(decoded(bmp(samples.tobytes(), 48, 32, bits, table=b"\1\2\3\0" * colours)), PICTURE) == (0, 0)


def test_a_table_longer_than_its_bits_can_name():
    """The rest of it is of no use, and no harm."""
    table = b"".join(bytes([n, n // 2, 255 - n, 0]) for n in range(256)) + b"\xff" * 4 * 44
    rows = bytes(range(256)) * 2
    expected = [(255 - n, n // 2, n) for n in range(256)]

    assert list(decoded(bmp(rows, 256, 2, 8, table=table)).crop((0, 0, 256, 1)).get_flattened_data()) == expected


def transformed(*properties):
    item = items(encode(photo(96, 64), "AVIF", quality=95, subsampling="4:4:4"))[0]
    return file(item._replace(properties=(*item.properties, *properties)))


def by_hand(picture, *properties):
    """What the properties ask for, one after the other."""
    for each in properties:
        if each[4:8] == b"irot":
            picture = picture.rotate(90 * each[8], expand=True)
        elif each[4:8] == b"imir":
            flip = (Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.FLIP_LEFT_RIGHT)[each[8]]
            picture = picture.transpose(flip)
        else:
            width, _, height, _, across, _, down, _ = struct.unpack(">IIIIiIiI", each[8:])
            left, top = (picture.width - width) // 2 + across, (picture.height - height) // 2 + down
            picture = picture.crop((left, top, left + width, top + height))
    return picture


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param([clap(48, 64, 24)], id="the right half"),
        pytest.param([clap(48, 32, -24, 16)], id="a quarter"),
        pytest.param([clap(40, 20), irot(1)], id="cropped, then turned"),
        pytest.param([clap(40, 20, 8, -6), irot(3), imir(0)], id="cropped, turned, mirrored"),
        pytest.param([irot(1), clap(40, 60, 8, -6)], id="turned, then cropped"),
        pytest.param([irot(3), imir(1), clap(40, 60, 8, -6)], id="turned, mirrored, cropped"),
        pytest.param([imir(0), irot(1)], id="mirrored, then turned"),
        pytest.param([irot(1), imir(0)], id="turned, then mirrored"),
        pytest.param([imir(1), irot(2)], id="mirrored, then upside down"),
        *(pytest.param([irot(n)], id=f"{n} quarters") for n in range(4)),
    ],
)
def test_an_avif_is_cropped_and_turned_in_the_order_of_its_list(properties):
    """The properties of an item apply one after the other; readers must follow them."""
    picture = decoded(transformed(*properties))

    assert picture.size == by_hand(photo(96, 64), *properties).size
    assert distance(picture, by_hand(photo(96, 64), *properties))[0] < 2
    for target in ((10, 10), (30, 12)):
        shape = decode(transformed(*properties), target, LIMITS).upright()
        assert shape.width * picture.height == pytest.approx(shape.height * picture.width, rel=0.2)


@pytest.mark.parametrize(
    "odd", [clap(200, 64), clap(48, 64, 40), clap(48, 64, 1, part=2), clap(0, 0), clap(4, 4, part=0)]
)
def test_a_crop_that_cannot_be_is_none(odd):
    """Out of the picture, through a pixel, or of nothing: the whole picture is shown, as by other readers."""
    assert decoded(transformed(odd)).size == (96, 64)


def test_notes_in_an_avif_that_nobody_can_read():
    """An EXIF block of rubbish turns nothing, and fails nothing."""
    words = Image.Exif()
    words[0x010E] = "a photo"
    data = encode(photo(96, 64), "AVIF", exif=words.tobytes())
    at = data.rindex(b"MM\0*")

    assert decoded(data[: at - 4] + b"\xff" * 8 + data[at + 4 :]).size == (96, 64)


@pytest.mark.parametrize("size", [(8160, 6144), (8192, 6144), (8320, 6240)])
def test_what_phones_call_50_megapixels(size):
    """The default limit lets them through, and not much more."""
    data = JPEG.replace(struct.pack(">HH", 32, 48), struct.pack(">HH", *reversed(size)), 1)

    assert read_header(data, LIMITS).width == size[0]
    assert LIMITS.max_pixels < 1.05 * 50_331_648


def test_unknown_boxes_beside_the_picture():
    """What stands beside the items of a file is nobody's business."""
    data = file(items(encode(photo(96, 64), "AVIF"))[0])

    assert decoded(data + box(b"uuid", b"\xff" * 500)).size == (96, 64)
