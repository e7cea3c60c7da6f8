"""An image in JSON: `{"image": "…"}`, in base64 or as a `data:` URL. Dearer than the bytes: a third more of them."""

import binascii
import re

import msgspec

from server.web.errors import RequestError

JSON = "application/json"
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_SPACE = str.maketrans("", "", " \t\r\n")


class _One(msgspec.Struct):
    image: str


class _Several(msgspec.Struct):
    images: list[str]


_one = msgspec.json.Decoder(_One).decode
_several = msgspec.json.Decoder(_Several).decode


class JsonImage:
    """Collects a JSON document: `feed` it the body, then `finish`."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        """Take a piece of the body."""
        self._chunks.append(chunk)

    def finish(self) -> bytes:
        """The image. Raises `RequestError` bad_json."""
        try:
            return _decoded(_one(b"".join(self._chunks)).image)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise RequestError("bad_json") from None


class JsonImages(JsonImage):
    """Collects a document with `images`, at most so many."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def images(self) -> list[bytes]:
        """The images. Raises `RequestError` bad_json."""
        try:
            texts = _several(b"".join(self._chunks)).images
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise RequestError("bad_json") from None
        if not 1 <= len(texts) <= self._most:
            raise RequestError("bad_json")
        return [_decoded(text) for text in texts]


def _decoded(text: str) -> bytes:
    url = _DATA_URL.match(text)
    encoded = text[url.end() :] if url else text
    try:
        return binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError:
        pass
    try:  # tools break lines
        return binascii.a2b_base64(encoded.translate(_SPACE), strict_mode=True)
    except ValueError:
        raise RequestError("bad_json") from None
