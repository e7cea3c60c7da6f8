"""Forms with an image in them, whole, cut anywhere, and hostile."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.web.errors import RequestError
from server.web.multipart import FormImage, RawImage, image_in

TYPE = "multipart/form-data; boundary=xyz"
IMAGE = b"\xff\xd8\xff\r\n--xy\r\n\0 almost a boundary"


def part(name="image", body=IMAGE, more=""):
    return f'--xyz\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + body + b"\r\n"


END = b"--xyz--\r\n"


def parsed(body, content_type=TYPE, cuts=()):
    form = FormImage(content_type)
    edges = [0, *sorted(cuts), len(body)]
    for start, end in pairwise(edges):
        form.feed(body[start:end])
    return form.finish()


def refusal(body, content_type=TYPE):
    with pytest.raises(RequestError) as raised:
        parsed(body, content_type)
    return raised.value.code


@pytest.mark.parametrize("name", ["image", "file"])
def test_image_is_taken_from_its_part(name):
    """Either name will do; the bytes are the part's, to the last."""
    assert IMAGE == parsed(part(name) + END)


@given(st.lists(st.integers(0, 200), max_size=12))
def test_form_may_be_cut_anywhere(cuts):
    """Chunks of a connection do not respect boundaries."""
    body = part("note", b"hello") + part() + END

    assert IMAGE == parsed(body, cuts=[min(cut, len(body)) for cut in cuts])


def test_hostile_file_name_is_ignored():
    """Nobody opens it, stores it or repeats it."""
    assert IMAGE == parsed(part(more='; filename="../../etc/passwd\\0"') + END)


def test_other_fields_are_read_past():
    """A form made by a browser may carry more than the image."""
    assert IMAGE == parsed(part("csrf", b"1") + part() + part("submit", b"Send") + END)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(part(), id="no closing boundary"),
        pytest.param(part() + b"--xyz-", id="cut in the closing boundary"),
        pytest.param(part() + part("file") + END, id="two images"),
        pytest.param(part("a") * 17 + END, id="too many parts"),
        pytest.param(b"--xyz\r\n" + b"X: 1\r\n" * 9 + b"\r\n1\r\n" + END, id="too many headers"),
        pytest.param(b"--xyz\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n1\r\n" + END, id="a header of 1 MB"),
        pytest.param(b"--xyz\r\n\0: 1\r\n\r\n1\r\n" + END, id="NUL in a header's name"),
        pytest.param(b"x" * 10_000_000 + part() + END, id="a preamble of 10 MB"),
        pytest.param(b"", id="empty"),
        pytest.param(b"--abc\r\n\r\n--abc--\r\n", id="another boundary"),
    ],
)
def test_malformed_form_is_refused(body):
    """Never half an image, never a crash."""
    assert "bad_multipart" == refusal(body)


@pytest.mark.parametrize("body", [part("photo") + END, b"--xyz\r\nContent-Disposition: form-data\r\n\r\n1\r\n" + END])
def test_form_without_an_image_says_so(body):
    """The code tells the caller which part is wanted."""
    assert "image_part_missing" == refusal(body)


@pytest.mark.parametrize("kind", ["multipart/form-data", f"multipart/form-data; boundary={'x' * 71}"])
def test_boundary_must_be_there_and_short(kind):
    """RFC 2046: 1 to 70 characters."""
    with pytest.raises(RequestError):
        image_in(kind)


@pytest.mark.parametrize("kind", ["", "image/jpeg", "text/plain", "application/x-www-form-urlencoded"])
def test_any_other_type_is_a_raw_image(kind):
    """The declared type of a raw body does not matter."""
    image = image_in(kind)
    for piece in (b"ab", b"", b"c"):
        image.feed(piece)

    assert isinstance(image, RawImage)
    assert b"abc" == image.finish()


def outcome(body):
    try:
        return parsed(body)
    except RequestError as error:
        return error.code


@given(st.binary(max_size=400))
def test_noise_is_refused_and_nothing_else(noise):
    """No bytes make the parser raise anything but its refusal."""
    for body in (noise, part()[:60] + noise, part() + noise):
        assert outcome(body) in (IMAGE, "bad_multipart", "image_part_missing")
