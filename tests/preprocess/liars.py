"""Files whose containers declare other sizes than they hold, the same for the same seed.

Streams are real, of small and of large pictures; what is said of them is drawn at random, so that some files are right.
"""

import struct
import zlib
from functools import cache

import numpy as np
from PIL import Image

from tests.preprocess.boxes import ALPHA, Item, box, file, grid, ispe, items, overlay, said
from tests.preprocess.pictures import bmp, chunk, encode, gif, photo, png, segment, with_alpha

SIZES = ((64, 64), (200, 100), (256, 128), (1600, 1200))
ENCODERS = {"avif": "AVIF", "heic": "HEIF"}
LAYERS = (box(b"lsel", b"\xff\xff"), box(b"a1op", b"\0"), box(b"a1lx", b"\0" * 7))


@cache
def coded(format, size):
    """An item of that size; the large one is flat, so that its stream is as short as a small one's."""
    picture = Image.new("RGB", size, (90, 140, 60)) if size[0] > 1000 else photo(*size)
    options = {"speed": 10} if format == "avif" else {}
    return items(encode(picture, ENCODERS[format], quality=60, **options))[0]


@cache
def alpha(size):
    return items(encode(with_alpha(photo(*size)), "AVIF", quality=60, speed=10))[1]


@cache
def whole(format, size, mode, **options):
    """A file of that size; the large one is of one colour."""
    return encode(Image.new(mode, size) if size[0] > 1000 else photo(*size).convert(mode), format, **options)


class Liar:
    """Draws from `seed`; `make` gives (format, bytes)."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self._makers = (self.boxed, self.boxed, self.webp, self.gif, self.png, self.jpeg, self.bmp)

    def make(self):
        return self.pick(self._makers)()

    def pick(self, options):
        return options[int(self.random.integers(len(options)))]

    def chance(self, share):
        return self.random.random() < share

    def size(self):
        """Most often one of the streams', sometimes anything."""
        if self.chance(0.7):
            return self.pick(SIZES)
        return tuple(int(2 ** self.random.uniform(0, 15)) for _ in range(2))

    # -- AVIF, HEIC --------------------------------------------------------------------------------

    def boxed(self):
        format = self.pick(tuple(ENCODERS))
        parts = [self.item(format) for _ in range(int(self.random.integers(1, 7)))]
        if self.chance(0.5):
            return format, file(*self.derived(parts), brand=format.encode())
        if self.chance(0.4) and format == "avif":
            other = said(alpha(self.pick(SIZES[:3])), *self.size())
            parts.insert(1, other._replace(alpha_of=1))
        if self.chance(0.2):
            properties = (*parts[-1].properties, box(b"auxC", ALPHA, version=0))
            parts[-1] = parts[-1]._replace(alpha_of=1, properties=properties)
        return format, file(*parts, brand=format.encode())

    def item(self, format):
        size = self.pick(SIZES)
        item = coded(format, size)
        if self.chance(0.4):
            item = said(item, *self.size())
        if self.chance(0.2):
            item = item._replace(content=coded(format, self.pick(SIZES)).content)
        if self.chance(0.15):
            item = item._replace(content=item.content * int(self.random.integers(2, 30)))
        if self.chance(0.15) and format == "avif":
            item = item._replace(properties=(*item.properties, self.pick(LAYERS)))
        return item

    def derived(self, parts):
        """The parts in a grid or an overlay, or in one of one."""
        count = len(parts)
        rows = int(self.random.integers(1, count + 1))
        columns = count // rows if self.chance(0.8) else int(self.random.integers(1, 256))
        width, height = self.pick(SIZES)
        inner = (columns * width, rows * height) if self.chance(0.7) else self.size()
        outer = inner if self.chance(0.7) else self.size()
        if any(side > 65_535 for side in (*inner, *outer)):
            inner = outer = (640, 480)
        of = tuple(range(2, 2 + (rows * columns if rows * columns <= count else count)))
        if self.chance(0.2):
            of = tuple(int(n) for n in self.random.integers(1, count + 2, size=int(self.random.integers(1, 60))))
        if self.chance(0.6):
            kind, content = b"grid", grid(rows, min(columns, 256), *inner)
        else:
            places = [tuple(int(n) for n in self.random.integers(-50, 400, size=2)) for _ in of]
            kind, content = b"iovl", overlay(*inner, places)
        return [Item(kind, content, (ispe(*outer),), of=of), *parts]

    # -- the others --------------------------------------------------------------------------------

    def webp(self):
        size, canvas = self.pick(SIZES), self.size()
        parts = whole("WEBP", size, "RGB", lossless=self.chance(0.5))[12:]
        if self.chance(0.5):
            frame = self.size()
            head = b"".join(
                int(n).to_bytes(3, "little") for n in (*self.random.integers(0, 20, 2), frame[0] - 1, frame[1] - 1)
            )
            content = head + b"\0\0\0\0" + parts
            frames = b"ANMF" + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
            parts = b"ANIM\6\0\0\0" + b"\0" * 6 + frames * int(self.random.integers(1, 50))
        flags = int(self.random.integers(64))
        extended = b"VP8X\x0a\0\0\0" + bytes([flags, 0, 0, 0]) + b"".join((n - 1).to_bytes(3, "little") for n in canvas)
        body = b"WEBP" + (extended if self.chance(0.8) else b"") + parts
        return "webp", b"RIFF" + struct.pack("<I", len(body)) + body

    def gif(self):
        data = bytearray(gif(self.pick(((1, 1), (40, 30), (200, 100))), (0, 0, *self.pick(((1, 1), (40, 30)))), 1))
        at = data.index(b",")
        for start, low in ((6, 1), (at + 5, 1), (at + 1, 0)):
            if self.chance(0.4):
                struct.pack_into("<HH", data, start, *(int(self.random.integers(low, 65_536)) for _ in range(2)))
            elif self.chance(0.3):
                struct.pack_into("<HH", data, start, *(min(n, 65_535) for n in self.size()))
        crumbs = b"!\xfe" + b"\1a" * int(self.random.integers(0, 30_000)) + b"\0" if self.chance(0.1) else b""
        return "gif", bytes(data[:at]) + crumbs + bytes(data[at:-1]) * int(self.random.integers(1, 30)) + b";"

    def png(self):
        (width, height), (held_width, held_height) = self.size(), self.pick(SIZES)
        depth, colour = self.pick(((8, 2), (8, 0), (16, 2), (1, 0), (8, 6), (8, 3), (16, 4)))
        samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
        rows = b"\0" * ((held_width * samples * depth + 7) // 8 + 1) * held_height
        data = zlib.compress(rows, 9)
        if self.chance(0.2):  # blocks that hold nothing
            data = b"\x78\x01" + b"\0\0\0\xff\xff" * int(self.random.integers(1, 200_000)) + data[2:]
        head = [chunk(b"PLTE", bytes(768))] if colour == 3 else []
        if self.chance(0.3):
            head.append(chunk(b"iCCP", b"x\0\0" + zlib.compress(b"\0" * int(2 ** self.random.uniform(0, 25)))))
        if self.chance(0.3):
            control = struct.pack(
                ">IIIIIHHBB", 0, *self.size(), *(int(n) for n in self.random.integers(0, 50, 2)), 1, 1, 0, 0
            )
            head += [chunk(b"acTL", struct.pack(">II", 2, 0)), chunk(b"fcTL", control)]
        made = png(width, height, *head, chunk(b"IDAT", data), depth=depth, colour=colour)
        if self.chance(0.3):  # interlaced
            start = made[:16] + made[16:28] + b"\1"
            made = start + struct.pack(">I", zlib.crc32(start[12:29])) + made[33:]
        return "png", made

    def jpeg(self):
        size = self.pick(SIZES)
        data = whole("JPEG", size, self.pick(("RGB", "L", "CMYK")), quality=50, progressive=self.chance(0.6))
        at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
        data = bytearray(data)
        if self.chance(0.5):
            struct.pack_into(">HH", data, at + 5, *(min(side, 65_535) for side in self.size()[::-1]))
        if self.chance(0.3):
            for n in range(data[at + 9]):
                data[at + 11 + 3 * n] = self.pick((0x11, 0x22, 0x44, 0x41, 0x14, 0x33))
        data = bytes(data)
        if self.chance(0.4):
            scan = data[data.rindex(b"\xff\xda") : -2]
            data = data[:-2] + scan * int(self.random.integers(1, 100)) + data[-2:]
        if self.chance(0.2):
            data = data[:2] + segment(0xE1, b"Exif\0\0" + encode(photo(60, 40))) * 3 + data[2:]
        return "jpeg", data

    def bmp(self):
        (width, height), bits = self.size(), self.pick((1, 4, 8, 16, 24, 32))
        held_width, held_height = self.pick(SIZES[:3])
        rows = b"\x5a" * ((held_width * bits + 31) // 32 * 4 * held_height)
        stored = self.pick((0, 0, 3, 6))
        masks = self.random.integers(0, 2**32, 4, dtype=np.uint64).astype("<u4").tobytes() if stored else b""
        header = self.pick((40, 52, 56, 108, 124))
        table = b"\1\2\3\0" * int(self.random.integers(0, 400))
        data = bytearray(bmp(rows, width, height, bits, header=header, stored=stored, extra=masks, table=table))
        if self.chance(0.2):
            struct.pack_into("<I", data, 10, int(self.random.integers(0, 2000)))
        if self.chance(0.2):
            struct.pack_into("<I", data, 46, int(2 ** self.random.uniform(0, 32)))
        return "bmp", bytes(data)
