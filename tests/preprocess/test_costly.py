"""What a decoder does beyond what its file's header promised: it is stopped, or fails, and the image is told why."""

import subprocess
import sys

import pytest

from preprocess import CorruptImage, CostlyImage, Limits
from preprocess.cost import decode_seconds
from preprocess.decode import decode
from preprocess.header import read_header
from tests.preprocess.pictures import encode, photo

LIMITS = Limits()
FILES = {format: encode(photo(600, 400), format) for format in ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIF", "BMP")}
PIECEMEAL = ("JPEG", "PNG", "GIF")


@pytest.mark.parametrize("format", FILES)
def test_whoever_allows_cpu_time_is_told_how_much_it_should_take(format):
    """Once, before the decoder runs."""
    data, told = FILES[format], []

    decode(data, None, LIMITS, lambda seconds: told.append(seconds) or 10.0)

    assert told == [decode_seconds(read_header(data, LIMITS), len(data))]


@pytest.mark.parametrize("format", PIECEMEAL)
def test_a_decoder_that_reads_piece_by_piece_stops_when_its_time_is_over(format):
    """It is given no more of the file."""
    with pytest.raises(CostlyImage):
        decode(FILES[format], None, LIMITS, lambda _: -1.0)


def test_a_damaged_file_is_not_timed():
    """It is refused before a decoder is made."""
    with pytest.raises(CorruptImage):
        decode(FILES["PNG"][:40] + b"\xff" + FILES["PNG"][41:].replace(b"IDAT", b"IDAX"), None, LIMITS, pytest.fail)


def progressive(width, height, passes):
    """A JPEG that repeats its last pass."""
    data = encode(photo(width, height), progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * passes + data[-2:]


def test_passes_over_a_large_picture_are_fewer():
    """Each costs by the pixel: 16 over the largest that is allowed, 64 over a small one."""
    data = progressive(200, 100, 30)

    assert decode(data, None, LIMITS).image.size == (200, 100)
    with pytest.raises(CorruptImage):
        decode(data, None, Limits(max_pixels=20_000))


class Writer:
    """Bits in the order of lossless WebP: the lowest first."""

    def __init__(self):
        self._number = self._count = 0

    def put(self, value, count):
        self._number |= value << self._count
        self._count += count

    def one_symbol(self):
        """A prefix code of the symbol 0 alone."""
        self.put(0b0001, 4)

    def of_eight_bits(self, alphabet):
        """A prefix code in which each of the first 256 symbols takes 8 bits."""
        self.put(8 << 1, 5)  # 12 lengths follow
        for length in (0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1):  # of the symbols 17 18 0 1 2 3 4 5 16 6 7 8
            self.put(length, 3)
        self.put(0, 1)
        self.put((1 << 256) - 1, alphabet)

    def __bytes__(self):
        return self._number.to_bytes(self._count // 8 + 16, "little")


def webp_of_many_codes(side):
    """A lossless WebP each of whose tiles of 4 x 4 pixels has five prefix codes of its own."""
    stream, tiles = Writer(), (side // 4) ** 2
    for value, count in ((side - 1, 14), (side - 1, 14), (0, 4), (0, 2), (1, 1), (0, 3), (0, 1)):
        stream.put(value, count)
    stream.of_eight_bits(280)
    stream.of_eight_bits(256)
    for _ in range(3):
        stream.one_symbol()
    for tile in range(tiles):
        stream.put(int(f"{tile & 255:08b}"[::-1], 2), 8)
        stream.put(int(f"{tile >> 8:08b}"[::-1], 2), 8)
    for _ in range(5 * tiles):
        stream.one_symbol()
    content = b"\x2f" + bytes(stream)
    content += b"\0" * (len(content) % 2)
    body = b"WEBPVP8L" + len(content).to_bytes(4, "little") + content
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def test_a_small_webp_that_takes_hundreds_of_bytes_per_pixel(tmp_path):
    """What no header tells is under the ceiling all the same: the decoder fails, the process lives."""
    path, spare = tmp_path / "picture", 20_000_000
    path.write_bytes(data := webp_of_many_codes(512))

    done = subprocess.run([sys.executable, "-c", UNLOADED, str(path), str(spare)], timeout=60, check=False)

    assert decode(data, None, LIMITS).image.size == (512, 512)
    assert done.returncode == 7


UNLOADED = (
    "import resource, sys\n"
    "from preprocess import ImageError, Limits\n"
    "from preprocess.decode import decode\n"
    "from server.inference.memory_ceiling import data_bytes\n"
    "data = open(sys.argv[1], 'rb').read()\n"
    "limit = data_bytes() + int(sys.argv[2])\n"
    "resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))\n"
    "try: decode(data, None, Limits())\n"
    "except ImageError: sys.exit(7)\n"
)
LOADED = (
    "import resource, sys\n"
    "from preprocess import CostlyImage, Limits\n"
    "from preprocess.decode import decode\n"
    "from server.inference.memory_ceiling import data_bytes\n"
    "data = open(sys.argv[1], 'rb').read()\n"
    "decode(data, None, Limits())\n"
    "limit = data_bytes() + int(sys.argv[2])\n"
    "resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))\n"
    "try: decode(data, None, Limits())\n"
    "except CostlyImage: sys.exit(7)\n"
)


@pytest.mark.parametrize(
    ("format", "spare"), [("PNG", 1_000_000), ("GIF", 1_000_000), ("BMP", 1_000_000), ("AVIF", 20_000_000)]
)
def test_a_lack_of_memory_is_an_error_of_the_image(tmp_path, format, spare):
    """Where an allocation fails, the image that asked for it is answered, and the process lives."""
    path = tmp_path / "picture"
    path.write_bytes(encode(photo(2000, 1500), format))

    done = subprocess.run([sys.executable, "-c", LOADED, str(path), str(spare)], timeout=60, check=False)

    assert done.returncode == 7
