"""multipart/form-data with one image in it, parsed as it streams in, into memory and nowhere else.

File names are never looked at; other fields are read past, within small limits. A form without its closing
boundary is refused: it may have lost its last part on the way.
"""

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from server.web.base64_json import JSON, JsonImage, JsonImages
from server.web.errors import RequestError

_NAMES = frozenset({b"image", b"file"})  # of the part that holds the image
_FORM = "multipart/form-data"
_MAX_PARTS = 15  # beside images
_MAX_HEADERS = 8  # of one part
_MAX_HEADER_BYTES = 4096  # of one header line
_MAX_BOUNDARY = 70  # RFC 2046, section 5.1.1


class FormImage:
    """Collects the image of one form, or its images: `feed` it the body, then `finish`."""

    def __init__(self, content_type: str, most: int = 1) -> None:
        """`most`: of images. Raises `RequestError` bad_multipart if the boundary is missing or too long."""
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if not 1 <= len(boundary) <= _MAX_BOUNDARY:
            raise RequestError("bad_multipart")
        self._chunks: list[list[bytes]] = []
        """Those of each image."""
        self._most = most
        self._parts = 0
        self._begun = self._in_image = self._ended = False
        self._field = self._value = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_part_data": self._data,
                "on_part_end": self._part_ends,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_ends,
                "on_end": self._form_ends,
            },
            max_header_count=_MAX_HEADERS,
            max_header_size=_MAX_HEADER_BYTES,
        )

    def feed(self, chunk: bytes) -> None:
        """Take a piece of the body. Raises `RequestError` bad_multipart."""
        if not self._begun:  # the parser reads past empty lines, but not past as many in any pieces
            chunk = chunk.lstrip(b"\r\n")
            self._begun = bool(chunk)
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise RequestError("bad_multipart") from None

    def finish(self) -> bytes:
        """The image. Raises as `images`."""
        return self.images()[0]

    def images(self) -> list[bytes]:
        """The images. Raises `RequestError`: bad_multipart if the form did not end, image_part_missing."""
        if not self._ended:
            raise RequestError("bad_multipart")
        if not self._chunks:
            raise RequestError("image_part_missing")
        return [b"".join(chunks) for chunks in self._chunks]

    def _part_begins(self) -> None:
        self._parts += 1
        self._in_image = False
        if self._parts > _MAX_PARTS + self._most:
            raise RequestError("bad_multipart")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        if self._field.lower() == b"content-disposition":
            kind, options = parse_options_header(self._value)
            if kind == b"form-data" and options.get(b"name") in _NAMES:
                self._image_begins()
        self._field = self._value = b""

    def _image_begins(self) -> None:
        self._chunks.append([])
        self._in_image = True
        if len(self._chunks) > self._most:
            raise RequestError("bad_multipart")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._in_image:
            self._chunks[-1].append(data[start:end])

    def _part_ends(self) -> None:
        self._in_image = False

    def _form_ends(self) -> None:
        self._ended = True


class RawImage:
    """The body is the image."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        """Take a piece of the body."""
        self._chunks.append(chunk)

    def finish(self) -> bytes:
        """The image."""
        return b"".join(self._chunks)


def image_in(content_type: str) -> FormImage | JsonImage | RawImage:
    """What to feed a body of this declared type to: forms and JSON are told apart, the rest is content's matter."""
    if _is(_FORM, content_type):
        return FormImage(content_type)
    return JsonImage() if _is(JSON, content_type) else RawImage()


def images_in(content_type: str, most: int) -> FormImage | JsonImages:
    """What to feed a body with several images to. Raises `RequestError` bad_multipart for another type than forms and
    JSON."""
    return JsonImages(most) if _is(JSON, content_type) else FormImage(content_type, most)


def _is(kind: str, content_type: str) -> bool:
    return content_type[: len(kind)].lower() == kind
