"""Numbers with units: what is read, what is refused, and how a number is written back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.units import COUNT, DURATION, PIXELS, SIZE


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (DURATION, "1s", 1.0),
        (DURATION, "250ms", 0.25),
        (DURATION, "2m", 120.0),
        (DURATION, "1h", 3600.0),
        (DURATION, "1.5", 1.5),
        (DURATION, "0.1s", 0.1),
        (DURATION, " 1 s ", 1.0),
        (SIZE, "20MB", 20_000_000),
        (SIZE, "20MiB", 20_971_520),
        (SIZE, "1kB", 1000),
        (SIZE, "1KiB", 1024),
        (SIZE, "1.1GB", 1_100_000_000),
        (SIZE, "12B", 12),
        (SIZE, "12", 12),
        (PIXELS, "50M", 50_000_000),
        (PIXELS, "50Mpx", 50_000_000),
        (PIXELS, "0.5M", 500_000),
        (PIXELS, "50000000", 50_000_000),
        (COUNT, "8080", 8080),
    ],
)
def test_text_is_read(kind, text, expected):
    """A number, with or without a unit, means what it says; no binary fraction creeps in."""
    assert expected == kind.read(text)


@pytest.mark.parametrize(
    "text", ["", " ", "nan", "inf", "-1", "+1", "1e3", "1_000", "0x10", ".5", "1.", "1s1s", "s", "\u0661s"]
)
def test_what_is_no_number_is_refused(text):
    """Neither words, signs, exponents nor the numbers that are none get through."""
    with pytest.raises(ValueError, match="not a number"):
        DURATION.read(text)


@pytest.mark.parametrize(("kind", "text"), [(SIZE, "20mb"), (SIZE, "1s"), (DURATION, "5M"), (PIXELS, "1m")])
def test_an_unknown_unit_is_named_with_the_known_ones(kind, text):
    """The case of a unit matters, and the error says what would have been right."""
    with pytest.raises(ValueError, match=r"the unit '\w+' is unknown here \(known: \w+, "):
        kind.read(text)


def test_a_count_has_no_unit():
    """What is counted is said by the setting's name."""
    with pytest.raises(ValueError, match=r"known: none"):
        COUNT.read("3images")


@pytest.mark.parametrize(("kind", "given"), [(COUNT, "1.5"), (SIZE, "0.5B"), (SIZE, "1.0001kB"), (COUNT, 1.5)])
def test_what_has_to_be_whole_is(kind, given):
    """Half a byte is a slip, not something to round."""
    with pytest.raises(ValueError, match="whole"):
        kind.read(given)


@pytest.mark.parametrize(("given", "expected"), [(2, 2.0), (0.25, 0.25), (1e-05, 1e-05), (-1, -1.0)])
def test_numbers_are_taken_as_they_are(given, expected):
    """TOML and JSON give numbers; whether one is too small is for the setting's bounds to say."""
    assert expected == DURATION.read(given)


@pytest.mark.parametrize("given", [float("nan"), float("inf"), float("-inf")])
def test_a_number_has_to_be_finite(given):
    """TOML can write `nan` and `inf`."""
    with pytest.raises(ValueError, match="finite"):
        DURATION.read(given)


@pytest.mark.parametrize("given", [True, None, [1], {"a": 1}, b"1"])
def test_what_is_of_another_type_is_refused(given):
    """`port = true` is not port 1."""
    with pytest.raises(ValueError, match="not a number"):
        COUNT.read(given)


@pytest.mark.parametrize("given", ["9999999GB", 10**15, 10**40, 1e300])
def test_what_is_absurdly_large_is_refused(given):
    """Nothing later has to think of overflow."""
    with pytest.raises(ValueError, match="too large"):
        SIZE.read(given)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (DURATION, 1.0, "1s"),
        (DURATION, 0.25, "250ms"),
        (DURATION, 90.0, "90s"),
        (DURATION, 600, "10m"),
        (DURATION, 0, "0"),
        (DURATION, 0.0001, "0.0001"),
        (SIZE, 256_000_000, "256MB"),
        (SIZE, 1_048_576, "1MiB"),
        (SIZE, 1, "1B"),
        (PIXELS, 50_000_000, "50M"),
        (COUNT, 8080, "8080"),
    ],
)
def test_a_number_is_written_in_its_largest_exact_unit(kind, value, expected):
    """Defaults and bounds read as a user would write them."""
    assert expected == kind.show(value)


@given(st.integers(min_value=0, max_value=10**15 - 1))
def test_what_is_written_reads_back(value):
    """Writing loses nothing."""
    assert value == SIZE.read(SIZE.show(value))
