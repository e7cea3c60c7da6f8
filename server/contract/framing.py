"""Frames: a typed header (msgpack) and raw payload bytes. No pickle.

    +-------------+----------------+-------------------+--------------+
    | u32 header  | u32 payload    | header            | payload      |
    | length, LE  | length, LE     | (tagged msgpack)  | (raw bytes)  |
    +-------------+----------------+-------------------+--------------+

Reading is sans-io (`FrameReader`) for an event loop, and from a blocking file (`Codec.read`) for a worker. A frame
that breaks a limit or does not decode raises `WireError`; after that the stream is of no use.
"""

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, Generic, TypeVar

import msgspec

MAX_HEADER = 64 * 1024
MAX_PAYLOAD = 1 << 30

_PREFIX = struct.Struct("<II")

M = TypeVar("M", bound="Message")


class WireError(Exception):
    """The other end does not speak this protocol, or not any more."""


class Message(msgspec.Struct, array_like=True, tag=True, frozen=True):
    """Base of every frame's header."""


class Codec(Generic[M]):
    """The frames of one protocol: `union` is the union of all its messages."""

    def __init__(self, union: Any) -> None:  # noqa: ANN401 - a union is no type to the checker
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(union).decode

    def head(self, message: M, payload_length: int = 0) -> bytes:
        """Everything of a frame before its payload, so that a payload need not be copied to be sent."""
        header = self._encode(message)
        return _PREFIX.pack(len(header), payload_length) + header

    def frame(self, message: M, payload: bytes = b"") -> bytes:
        """A whole frame."""
        return self.head(message, len(payload)) + payload

    def read(self, stream: BinaryIO) -> tuple[M, bytes] | None:
        """The next frame of a blocking stream; None at a clean end. Raises `WireError`."""
        prefix = stream.read(_PREFIX.size)
        if not prefix:
            return None
        header_length, payload_length = _lengths(_whole(prefix, _PREFIX.size))
        message = self.message(_whole(stream.read(header_length), header_length))
        return message, _whole(stream.read(payload_length), payload_length)

    def message(self, header: bytes | memoryview) -> M:
        """A header's message. Raises `WireError`."""
        try:
            message: M = self._decode(header)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise WireError(f"not a message: {error}") from error
        return message


class FrameReader(Generic[M]):
    """Bytes in, frames out."""

    def __init__(self, codec: Codec[M]) -> None:
        self._codec = codec
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[tuple[M, bytes]]:
        """Take what arrived; yield every frame that is complete now. Raises `WireError`."""
        self._buffer += data
        while (parsed := self._next()) is not None:
            yield parsed

    def _next(self) -> tuple[M, bytes] | None:
        if len(self._buffer) < _PREFIX.size:
            return None
        header_length, payload_length = _lengths(self._buffer)
        start = _PREFIX.size + header_length
        end = start + payload_length
        if len(self._buffer) < end:
            return None
        with memoryview(self._buffer) as view:
            message = self._codec.message(view[_PREFIX.size : start])
            payload = bytes(view[start:end])
        del self._buffer[:end]
        return message, payload


def _whole(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise WireError(f"the stream ended inside a frame: {len(data)} of {length} bytes")
    return data


def _lengths(prefix: bytes | bytearray) -> tuple[int, int]:
    header_length, payload_length = _PREFIX.unpack_from(prefix)
    if header_length > MAX_HEADER or payload_length > MAX_PAYLOAD:
        raise WireError(f"a frame of {header_length} + {payload_length} bytes is past the limit")
    return header_length, payload_length
