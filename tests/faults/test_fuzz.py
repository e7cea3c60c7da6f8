"""Damaged forms, image headers, frames and HTTP heads: nothing but the documented errors, whatever the bytes.

By hand, for more: TEST_FUZZ=100000 make test ARGS="tests/faults/test_fuzz.py -s"
"""

import asyncio
import io
import itertools
import re
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess import ImageError, Limits
from preprocess.header import read_header
from server.contract.metadata import ModelMetadata, TensorSpec
from server.contract.wire import (
    Broken,
    Done,
    Drop,
    FrameReader,
    ImageItem,
    Load,
    LoadFailed,
    Misfit,
    Ran,
    Ready,
    Rejected,
    Skipped,
    TensorItem,
    WireError,
    frame,
    read_frame,
)
from server.web.errors import PROBLEMS, RequestError
from server.web.multipart import FormImage
from tests.end_to_end.harness import HTTP_SERVERS, serving
from tests.faults.fuzz import COUNT, cut, mutations
from tests.photos import photo
from tests.preprocess.mutations import good_files
from tests.preprocess.mutations import mutations as damaged_images

pytestmark = pytest.mark.timeout(3600)

CASE_S = 5.0  # a guard: a case takes a millisecond

# -- forms -----------------------------------------------------------------------------------------

TYPE = "multipart/form-data; boundary=xyz"
IMAGE = b"\xff\xd8\xff\r\n--xy\r\n\0 almost a boundary"


def part(name, body, more=b""):
    return b'--xyz\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (name, more, body)


FORMS = (
    part(b"image", IMAGE, b'; filename="a.jpg"') + b"--xyz--\r\n",
    part(b"note", b"hello") + part(b"file", IMAGE, b"\r\nContent-Type: image/jpeg") + b"--xyz--\r\n",
    b"preamble\r\n" + part(b"image", b"") + b"--xyz--\r\nepilogue",
)
FORM_TOKENS = (
    b"--xyz",
    b"\r\n--xyz\r\n",
    b"--xyz--",
    b"\r\n",
    b"\r",
    b"\n",
    b"--",
    b":",
    b";",
    b'"',
    b"\0",
    b"name=image",
)


def read_form(pieces, declared=TYPE):
    """The image, or the code of what is wrong; whatever is no RequestError goes through."""
    try:
        form = FormImage(declared)
        for piece in pieces:
            form.feed(piece)
        return form.finish()
    except RequestError as error:
        return error.code


def test_damaged_forms_read_the_same_however_they_are_cut():
    """Whole, byte by byte and in pieces: one image or one refusal, of the two kinds there are."""
    random, seen = np.random.default_rng(1), Counter()
    for body in itertools.islice(mutations(FORMS, FORM_TOKENS, seed=1), COUNT):
        started = time.monotonic()
        whole = read_form([body])
        assert whole == read_form(cut(body, random)) == read_form(body[n : n + 1] for n in range(len(body))), body
        assert time.monotonic() - started < CASE_S
        seen[whole if isinstance(whole, str) else "image"] += 1

    assert seen.keys() <= {"image", "bad_multipart", "image_part_missing"}
    assert min(seen["image"], seen["bad_multipart"]) > 0


@pytest.mark.parametrize("kind", [b"boundary=", b"boundary=%b", b'boundary="%b"', b"boundary*=utf-8''%b", b"%b"])
def test_any_content_type_of_a_form_is_read_or_refused(kind):
    """A boundary of any bytes."""
    random = np.random.default_rng(2)
    for _ in range(COUNT // 5):
        noise = random.integers(0, 256, size=random.integers(0, 90), dtype=np.uint8).tobytes()
        declared = b"multipart/form-data; " + (kind % noise if b"%b" in kind else kind)
        assert read_form([FORMS[0]], declared.decode("latin1")) in (IMAGE, "bad_multipart")


# -- image headers ---------------------------------------------------------------------------------


def test_damaged_image_headers_are_read_or_refused():
    """The web process reads nothing else of an image: ImageError or dimensions within the limit, in little time."""
    limits = Limits(max_pixels=4_000_000)
    for name, data in itertools.islice(damaged_images(good_files(), seed=3), COUNT):
        started = time.monotonic()
        try:
            header = read_header(data, limits)
        except ImageError:
            pass
        else:
            assert 0 < header.pixels <= limits.max_pixels, name
        assert time.monotonic() - started < CASE_S


# -- frames ----------------------------------------------------------------------------------------

NUMBER = st.integers(-(2**63), 2**63 - 1)
SECONDS = st.floats(allow_nan=False)
TEXT = st.text(max_size=50)
WANT = st.sampled_from(["answer", "tensors"])
SHAPE = st.lists(NUMBER, max_size=4).map(tuple)
SPEC = st.builds(TensorSpec, TEXT, TEXT, SHAPE)
MODEL = st.builds(
    ModelMetadata, name=TEXT, version=TEXT, digest=TEXT, provider=TEXT, inputs=st.tuples(SPEC), notes=st.tuples(TEXT)
)
MESSAGES = st.one_of(
    st.builds(Load, TEXT, NUMBER, NUMBER, st.sampled_from(["cpu", "cuda"]), NUMBER, NUMBER),
    st.builds(ImageItem, NUMBER, TEXT, TEXT, WANT, SECONDS, NUMBER),
    st.builds(TensorItem, NUMBER, TEXT, TEXT, WANT, SECONDS, TEXT, SHAPE),
    st.builds(Drop, NUMBER),
    st.builds(Ready, MODEL, NUMBER, st.dictionaries(NUMBER, SECONDS, max_size=5)),
    st.builds(LoadFailed, TEXT),
    st.builds(Done, NUMBER, TEXT, TEXT, SECONDS, SECONDS, SECONDS, NUMBER, st.tuples(SPEC)),
    st.builds(Misfit, NUMBER, TEXT),
    st.builds(Rejected, NUMBER, TEXT),
    st.builds(Broken, NUMBER, TEXT),
    st.builds(Skipped, NUMBER),
    st.builds(Ran, TEXT, TEXT, NUMBER, SECONDS),
)
FRAMES = st.lists(st.tuples(MESSAGES, st.binary(max_size=100)), min_size=1, max_size=8)


def from_socket(pieces):
    """What the event loop's end reads: the frames, and whether the stream is of no use any more."""
    reader, frames = FrameReader(), []
    try:
        for piece in pieces:
            frames.extend(reader.feed(piece))
    except WireError:
        return frames, True
    return frames, False


def from_file(data):
    """What a worker's end reads; as `from_socket`, and the end inside a frame is of no use either."""
    stream, frames = io.BytesIO(data), []
    try:
        while (one := read_frame(stream)) is not None:
            frames.append(one)
    except WireError:
        return frames, True
    return frames, False


@settings(deadline=None, max_examples=COUNT)
@given(FRAMES, st.integers(0, 2**32))
def test_frames_round_trip_however_they_are_cut(frames, seed):
    """Every kind of message with any values; both ends read what was written, in order."""
    stream = b"".join(frame(message, payload) for message, payload in frames)

    assert (frames, False) == from_socket(cut(stream, np.random.default_rng(seed))) == from_file(stream)


@settings(deadline=None, max_examples=COUNT)
@given(FRAMES, st.data())
def test_stream_that_ends_inside_a_frame_is_an_error(frames, data):
    """What came whole before it is read."""
    *before, last = [frame(message, payload) for message, payload in frames]
    length = data.draw(st.integers(1, len(last) - 1))

    assert (frames[:-1], True) == from_file(b"".join(before) + last[:length])


@settings(deadline=None, max_examples=COUNT)
@given(FRAMES, st.integers(0, 2**32))
def test_garbled_frames_are_messages_or_an_error(frames, seed):
    """No other exception, and both ends agree on where the stream stops making sense."""
    stream = b"".join(frame(message, payload) for message, payload in frames)
    garbled = next(mutations([stream], [b"\0", b"\xff\xff\xff\xff", b"\x93\xa9ImageItem"], seed))
    there, broken = from_socket([garbled])
    here, ended = from_file(garbled)

    assert repr(there) == repr(here)  # a NaN is not equal to itself
    assert ended or not broken


# -- HTTP heads ------------------------------------------------------------------------------------

PHOTO = photo(1)
HEADS = (
    b"POST /v1/images HTTP/1.1\r\nhost: t\r\ncontent-length: %d\r\nx-request-id: a\r\n\r\n%b" % (len(PHOTO), PHOTO),
    b"POST /v1/images HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"POST /v1/images HTTP/1.1\r\nhost: t\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b"
    % (TYPE.encode(), len(FORMS[0]), FORMS[0]),
    b"GET /healthz?a=b HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\npriority: u=1\r\nx-request-timeout-ms: 900\r\n\r\n",
)
HEAD_TOKENS = (
    b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b"\0", b"\xff", b"%00", b"/..", b"HTTP/1.1", b"HTTP/2.0", b"GET ",
    b"PRI * ", b"content-length: 5\r\n", b"content-length: -1\r\n", b"transfer-encoding: chunked\r\n", b"host: u\r\n",
    b"0\r\n\r\n", b"ffffffff\r\n", b"connection: close\r\n", b"upgrade: websocket\r\n", b"x: y\r\n z\r\n",
)  # fmt: skip
END = b"\r\n\r\nGET /healthz HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n"
STATUSES = {problem.status for problem in PROBLEMS.values()} - {500} | {100, 200, 501}


async def said_to(server, raw):
    """Everything that is answered; nothing more is sent once anything is."""
    client = await server.connect()
    said = b""
    try:
        client.writer.write(raw + END)
        try:
            async with asyncio.timeout(0.2):  # for want of an end: it may wait for more of a body, or of a head
                while more := await client.reader.read(65536):
                    said += more
        except TimeoutError:
            client.writer.write_eof()
        while more := await client.reader.read(65536):
            said += more
        return said
    except ConnectionError:  # it went on after it had said "connection: close"
        return said
    finally:
        client.writer.transport.abort()


@pytest.mark.parametrize("http", HTTP_SERVERS)
def test_damaged_heads_get_documented_statuses_and_disturb_nobody(http):
    """No 500, no traceback, nothing held, the same process at the end."""
    limits = ("--max-image-bytes", "100000", "--slo", "30s")
    with serving("--workers", "1", "--http-server", http, *limits) as server:
        web, seen, todo = server.web.pid, Counter(), itertools.islice(mutations(HEADS, HEAD_TOKENS, seed=5), COUNT)

        async def work():
            for raw in todo:
                said = await said_to(server, raw)
                seen.update(int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", said))

        async def run():
            await asyncio.gather(*(work() for _ in range(16)))
            while (now := await server.metrics())["tureen_connections"] > 1:
                pass
            return now, (await (await server.connect()).post(PHOTO)).status

        now, status = server.run(run())
        assert web == server.web.pid

    assert seen.keys() <= STATUSES
    assert min(seen[200], seen[400]) > 0
    assert (0.0, 0.0, 200) == (now["tureen_held_bytes"], now["tureen_arriving_bytes"], status)
    assert [] == [line for line in server.final_log.splitlines() if "Traceback" in line]
