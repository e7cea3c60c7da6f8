"""An entry as bytes, for a cache that others share and that may hold anything.

CORRECTNESS: what is read is not trusted. A checksum tells garbage; the whole key is compared, since a value may be
another tenant's, or that of a key whose hash collides; the SHA-256 of the content is compared by whoever asks; and the
members must be an answer, since they go to a client as they are.
"""

import hashlib

import msgspec

from server.contract.answer import ModelAnswer
from server.engine.cache.entry import Entry, Key

_PREFIX = "tureen:1:"
_DIGEST_BYTES = 16
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Key, Entry]).decode
_answer = msgspec.json.Decoder(ModelAnswer).decode


class Garbage(Exception):
    """These bytes are no entry."""


class Mismatch(Exception):
    """They are an entry, of something else."""


def name_of(key: Key) -> str:
    """The name under which the entry of this key is kept."""
    return _PREFIX + hashlib.blake2b(_encode(key), digest_size=_DIGEST_BYTES).hexdigest()


def dumps(key: Key, entry: Entry) -> bytes:
    """The entry as bytes."""
    body = _encode((key, entry))
    return _checksum(body) + body


def loads(data: bytes, key: Key) -> Entry:
    """The entry of this key. Raises `Garbage`, `Mismatch`."""
    body = data[_DIGEST_BYTES:]
    if _checksum(body) != data[:_DIGEST_BYTES]:
        raise Garbage
    try:
        found, entry = _decode(body)
        if not entry.tensors:
            _answer(b"{%b}" % entry.members)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Garbage from None
    if found != key:
        raise Mismatch
    return entry


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()
