"""Tensors as JSON: nested or flat lists of numbers. Pure, and made for large ones.

The numbers are decoded some thousands at a time: as Python objects, all of them would take eight times what they take
in the tensor, and the thread that decodes them lets others run in between.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from server.contract.metadata import ITEM_BYTES
from server.web.oip.inference import MOST_ENTRIES, InvalidInference

_SLICE = 64 * 1024  # bytes of JSON that are decoded at a time
_NOT_NUMBERS = b"[] \t\r\n"
_LISTS = re.compile(rb"[\[\]0-9eE.,+\-truefals \t\r\n]*")
NUMPY: Final = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
"""numpy's name of each dtype on the wire."""
assert NUMPY.keys() == ITEM_BYTES.keys()

_texts = msgspec.json.Decoder(list[str | tuple[str]]).decode
_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    "b": msgspec.json.Decoder(list[bool]),
    "i": msgspec.json.Decoder(list[int]),
    "f": msgspec.json.Decoder(list[float]),
}


def from_json(raw: bytes | memoryview, dtype: str, count: int) -> bytes:
    """The `count` numbers in a list, however it is nested, as a tensor's bytes. Raises `InvalidInference`."""
    text = bytes(raw)
    if not _LISTS.fullmatch(text):
        raise InvalidInference("the data of a tensor must be a list of numbers, or lists of them")
    flat = text.translate(None, _NOT_NUMBERS)
    found = flat.count(b",") + 1 if flat else 0
    if found != count:
        raise InvalidInference(f"the shape asks for {count} numbers, the data has {found}")
    return b"".join(part.tobytes() for part in _parts(flat, np.dtype(NUMPY[dtype])))


def _parts(flat: bytes, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    decoder = _decoders["b" if dtype.kind == "b" else "f" if dtype.kind == "f" else "i"]
    start = 0
    while start < len(flat):
        end = len(flat)
        if start + _SLICE < end:
            end = flat.find(b",", start + _SLICE)
            end = len(flat) if end < 0 else end
        try:
            yield np.array(decoder.decode(b"[%b]" % flat[start:end]), dtype)
        except (msgspec.MsgspecError, OverflowError, ValueError):
            raise InvalidInference("the data of a tensor has something that its datatype cannot hold") from None
        start = end + 1


def to_json(data: bytes, dtype: str) -> msgspec.Raw:
    """A tensor's numbers as a flat list; what is not finite is null."""
    return msgspec.Raw(msgspec.json.encode(np.frombuffer(data, NUMPY[dtype]).tolist()))


def images_from_json(raw: bytes | memoryview) -> tuple[bytes, ...]:
    """The elements of a BYTES tensor in JSON, which must be images in base64. Raises `InvalidInference`."""
    try:
        texts = _texts(raw)
    except msgspec.MsgspecError:
        raise InvalidInference("the data of a BYTES tensor must be a list of strings") from None
    if len(texts) > MOST_ENTRIES:
        raise InvalidInference(f"one request may have {MOST_ENTRIES} images")
    try:
        return tuple(base64.b64decode(text if isinstance(text, str) else text[0], validate=True) for text in texts)
    except (binascii.Error, ValueError):
        raise InvalidInference("in JSON, an element of a BYTES tensor must be an image in base64") from None
