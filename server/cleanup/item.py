"""One answered image as a file of the spool, and the names it has in the store. Pure.

    magic | u32 record length, LE | BLAKE2b-128 of all that follows | record (JSON) | original

The record is written once, at the answer, and goes to the store as it is: whatever is killed in between, a second try
writes the same bytes under the same names.
"""

import hashlib
import re
import struct
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

import msgspec

_MAGIC = b"TUR1"
_HEAD = struct.Struct("<4sI16s")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

MARK: Final = ".deleted"

Redaction = Literal["off", "metadata", "originals"]


class Damaged(Exception):
    """These bytes are no item, or not a whole one."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of an answer. `time`: ISO 8601, UTC. Timings in milliseconds."""

    id: str
    hash: str
    """XXH3-128 of the original, hex."""
    sha256: str
    time: str
    model: str
    version: str
    media_type: str
    bytes: int
    """Of the original."""
    answer: msgspec.Raw
    """The members that the model gave: predictions, score, label, tip."""
    timing: dict[str, float]
    request_id: str = ""
    owner: str = ""
    redacted: Redaction = "off"
    """What is not kept of the original: its metadata, or all of it. `hash`, `sha256` and `bytes` are of the upload."""
    duplicate_of: str = ""
    """The id of the first image with the same content, of the same owner."""
    traceparent: str = ""
    """The span that answered it, of a request that is traced."""
    source: str = ""
    """Where the image came from, if not from a client: s3://BUCKET/KEY."""
    arm: str = ""
    """EXPERIMENT/ARM, where the image was answered in an experiment."""
    unit: str = ""
    """Who was assigned to that arm: a pseudonym."""

    @property
    def is_pending(self) -> bool:
        """Whether the image is still to be answered, by a consumer; then `answer` is null."""
        return not self.model


class Item(NamedTuple):
    """A record and its original; the latter is empty where none is kept."""

    record: Record
    original: bytes


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode
_SUFFIX = {
    "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif", "image/bmp": "bmp",
    "image/avif": "avif", "image/heic": "heic", "image/tiff": "tiff",
}  # fmt: skip


def dumps(item: Item) -> bytes:
    """The item as a file."""
    body = encode_record(item.record)
    checksum = hashlib.blake2b(body, digest_size=16)
    checksum.update(item.original)
    return b"".join((_HEAD.pack(_MAGIC, len(body), checksum.digest()), body, item.original))


def loads(data: bytes) -> Item:
    """The item in a file. Raises `Damaged`."""
    if len(data) < _HEAD.size:
        raise Damaged("it is too short")
    magic, length, checksum = _HEAD.unpack_from(data)
    rest = data[_HEAD.size :]
    if magic != _MAGIC or length > len(rest) or hashlib.blake2b(rest, digest_size=16).digest() != checksum:
        raise Damaged("its checksum is wrong")
    return Item(decode_record(rest[:length]), rest[length:])


def encode_record(record: Record) -> bytes:
    """A record as it is stored."""
    return _encode(record)


def decode_record(data: bytes) -> Record:
    """A record as it was stored. Raises `Damaged`."""
    try:
        return _decode(data)
    except msgspec.MsgspecError as error:
        raise Damaged(str(error)) from None


def pending_record(
    id_: str, hash_: str, sha256: str, media_type: str, size: int, request_id: str, owner: str
) -> Record:
    """The record of an image that is to be answered elsewhere."""
    return Record(
        id=id_, hash=hash_, sha256=sha256, time=iso_time(id_), model="", version="", media_type=media_type, bytes=size,
        answer=msgspec.Raw(b"null"), timing={}, request_id=request_id, owner=owner,
    )  # fmt: skip


def iso_time(id_: str) -> str:
    """When the image of this id was answered, or accepted, as records say it."""
    return when(id_).isoformat(timespec="milliseconds")


def is_id(text: str) -> bool:
    """Whether this is a UUIDv7 as answers carry it."""
    return _ID.fullmatch(text) is not None


def when(id_: str) -> datetime:
    """When the image of this id was answered."""
    return datetime.fromtimestamp(int(id_[:8] + id_[9:13], 16) / 1000, UTC)


def first_id(moment: datetime) -> str:
    """What no id of an image answered at that moment or later is below."""
    digits = f"{max(0, int(moment.timestamp() * 1000)):012x}"
    return f"{digits[:8]}-{digits[8:]}"


def record_name(id_: str) -> str:
    """The record's name in the store. It follows from the id alone."""
    return f"{when(id_):%Y-%m-%d}/{id_}.json"


def outcomes_name(id_: str) -> str:
    """The name in the store of what clients reported of an image: a JSON object, numbers by metric."""
    return f"{when(id_):%Y-%m-%d}/{id_}.outcomes"


def mark_name(id_: str) -> str:
    """The name in the store of the mark that an image was deleted while a consumer might work on it."""
    return f"{when(id_):%Y-%m-%d}/{id_}{MARK}"


def original_name(record: Record) -> str:
    """The original's name in the store."""
    return f"{when(record.id):%Y-%m-%d}/{record.id}.{_SUFFIX.get(record.media_type, 'bin')}"
