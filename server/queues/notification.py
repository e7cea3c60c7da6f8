"""What the messages of a queue ask for. Pure.

    {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name"}, "object": {"key", "size"}}}]}   from S3
    {"detail-type": "Object Created", "detail": {"bucket": {"name"}, "object": {"key"}}}   from S3 by EventBridge
    {"Type": "Notification", "Message": "..."}   one of these by SNS
    {"bucket": "photos", "key": "in/1.jpg"}   by hand
    {"upload": {"id": "...", "name": "2026-11-28/....jpg"}}   from `tureen serve --forward`

CORRECTNESS: keys in events of S3 are encoded as in forms; those of EventBridge, and those by hand, are not.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

import msgspec

_DEEPEST = 3  # envelopes around a message


class Unreadable(Exception):
    """Nothing that is known; the message says why."""


class S3Object(NamedTuple):
    """An object to be answered. `version`: "" for the latest; `size` in bytes, 0 if unknown."""

    bucket: str
    key: str
    version: str
    size: int
    part: str
    """The part of the message that asked for it, as a message of its own."""


class Upload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An upload that a server without workers has put into the store. `name`: of the original there."""

    id: str
    name: str
    bytes: int
    request_id: str = ""
    owner: str = ""


class Forwarded(NamedTuple):
    """An upload to be answered, and the message that asked for it."""

    upload: Upload
    part: str


class _Envelope(msgspec.Struct, frozen=True):
    upload: Upload


Asked = S3Object | Forwarded

_encode = msgspec.json.Encoder().encode


def forward(upload: Upload) -> str:
    """The message that asks for an upload."""
    return _encode(_Envelope(upload)).decode()


def read(body: str, depth: int = 0) -> list[Asked]:
    """What a message asks for; nothing for a test, or for what was removed. Raises `Unreadable`."""
    try:
        message = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise Unreadable(str(error)) from None
    if not isinstance(message, Mapping):
        raise Unreadable("it is no JSON object")
    match message:
        case {"Records": list(records)}:
            return list(_of_s3(records))
        case {"detail-type": str(kind), "detail": Mapping() as detail}:
            return [_object(detail, str, body)] if kind == "Object Created" else []
        case {"Type": "Notification", "Message": str(inner)} if depth < _DEEPEST:
            return read(inner, depth + 1)
        case {"Event": "s3:TestEvent"}:
            return []
        case {"upload": Mapping()}:
            return [Forwarded(_upload(body), body)]
        case {"bucket": str(), "key": str()}:
            return [_object({"bucket": {"name": message["bucket"]}, "object": message}, str, body)]
    raise Unreadable("it is no event of S3, and has no bucket and key")


def _of_s3(records: list[Any]) -> Iterator[S3Object]:
    for record in records:
        part = _encode({"Records": [record]}).decode()
        match record:
            case {"eventName": str(name)} if not name.removeprefix("s3:").startswith("ObjectCreated"):
                continue
            case {"s3": Mapping() as detail}:
                yield _object(detail, unquote_plus, part)
            case _:
                raise Unreadable("a record of it is none of S3")


def _object(detail: Mapping[str, Any], decode: Any, part: str) -> S3Object:  # noqa: ANN401 - str or unquote_plus
    match detail:
        case {"bucket": {"name": str(bucket)}, "object": {"key": str(key)} as found} if bucket and key:
            version = found.get("versionId") or found.get("version-id") or found.get("version") or ""
            size = found.get("size")
            return S3Object(bucket, decode(key), str(version), size if isinstance(size, int) and size > 0 else 0, part)
    raise Unreadable("it names no bucket, or no key")


def _upload(body: str) -> Upload:
    try:
        return msgspec.json.decode(body, type=_Envelope).upload
    except msgspec.MsgspecError as error:
        raise Unreadable(str(error)) from None
