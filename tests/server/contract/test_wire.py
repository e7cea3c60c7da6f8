"""Frames: what goes in comes out, in any pieces, and nonsense is an error, not a crash."""

import io
import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.contract.metadata import FREE, ModelMetadata, TensorSpec
from server.contract.wire import (
    MAX_HEADER,
    MAX_PAYLOAD,
    Begin,
    Done,
    Drop,
    FrameReader,
    ImageItem,
    Load,
    Loaded,
    Prepare,
    Prepared,
    Ready,
    TensorItem,
    Trial,
    TrialFailed,
    TrialResult,
    WireError,
    frame,
    head,
    read_frame,
)

IMAGE = ImageItem(1, "m", "1", "answer", 12.5, 3072)
MODEL = ModelMetadata(
    name="m",
    version="1",
    digest="ab",
    provider="CPUExecutionProvider",
    inputs=(TensorSpec("x", "FP32", (FREE, 3, 8, 8)),),
    outputs=(TensorSpec("y", "FP32", (FREE, 5)),),
    answer="5 classes",
    notes=("on the device",),
)

MESSAGES = [
    Load("m.onnx", 8, 1000),
    IMAGE,
    TensorItem(2, "m", "1", "tensors", 12.5, "FP32", (3, 8, 8)),
    Drop(1),
    Prepare(2),
    Trial(2, 8, 12.5, 0.03),
    Begin(2),
    Loaded(8, 0.5, 0.25),
    Prepared(),
    TrialResult(0.5, 0.25, 3),
    TrialFailed("no memory"),
    Ready(MODEL, 2, {1: 0.5, 2: 0.75}),
    Done(7, "m", "1", 1.0, 0.1, 0.2, 3),
    Done(8, "m", "1", 1.0, 0.1, 0.2, 3, (TensorSpec("y", "FP32", (5,)),)),
]
STREAM = b"".join(frame(message, bytes([n]) * n) for n, message in enumerate(MESSAGES))


@given(st.lists(st.integers(0, len(STREAM))))
def test_frames_survive_any_cutting(cuts):
    """However the stream is cut, the same frames come out in order."""
    edges = [0, *sorted(cuts), len(STREAM)]
    reader = FrameReader()

    frames = [one for a, b in itertools.pairwise(edges) for one in reader.feed(STREAM[a:b])]

    assert [(message, bytes([n]) * n) for n, message in enumerate(MESSAGES)] == frames


def test_blocking_reader_reads_the_same_frames_and_then_the_end():
    """The worker's side sees what the event loop's side sees."""
    stream = io.BytesIO(STREAM)

    assert MESSAGES == [read_frame(stream)[0] for _ in MESSAGES]
    assert read_frame(stream) is None


def test_head_and_payload_apart_make_the_same_frame():
    """A payload need not be copied to be sent."""
    assert frame(IMAGE, b"abc") == head(IMAGE, 3) + b"abc"


@pytest.mark.parametrize("length", range(1, len(frame(IMAGE, b"abc"))))
def test_end_inside_a_frame_is_an_error(length):
    """A stream may end between frames only."""
    with pytest.raises((WireError, struct.error)):
        read_frame(io.BytesIO(frame(IMAGE, b"abc")[:length]))


@pytest.mark.parametrize("lengths", [(MAX_HEADER + 1, 0), (0, MAX_PAYLOAD + 1)])
def test_length_past_the_limit_is_an_error(lengths):
    """Nobody reserves memory for a length that makes no sense."""
    with pytest.raises(WireError, match="past the limit"):
        list(FrameReader().feed(struct.pack("<II", *lengths)))


@given(st.binary(max_size=200))
def test_noise_is_an_error_or_waits_for_more(noise):
    """Random bytes never raise anything but WireError."""
    try:
        list(FrameReader().feed(noise))
    except WireError:
        pass


def test_header_of_no_known_message_is_an_error():
    """Valid msgpack that is no message of ours."""
    with pytest.raises(WireError, match="not a message"):
        list(FrameReader().feed(struct.pack("<II", 1, 0) + b"\xc0"))
