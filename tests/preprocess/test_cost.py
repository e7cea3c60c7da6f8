"""An estimate that orders images as their decoding does."""

from typing import get_args

import pytest

from preprocess.cost import decode_seconds
from preprocess.header import Format, Header


@pytest.mark.parametrize("kind", get_args(Format))
def test_more_pixels_cost_more(kind):
    """Every format on the allow-list has its cost."""
    costs = [decode_seconds(Header(kind, side, side), 1000) for side in (1, 100, 1000, 5000)]

    assert sorted(costs) == costs
    assert 0 < costs[0] < costs[-1] < 2


def test_phone_photo_as_jpeg_is_cheaper_than_as_heic():
    """A JPEG is decoded at a fraction of its size; the others cannot be."""
    assert decode_seconds(Header("jpeg", 4000, 3000), 2_000_000) < decode_seconds(Header("heic", 4000, 3000), 0) / 10


def test_a_progressive_jpeg_costs_several_times_as_much():
    """It is decoded in full, pass after pass, before it is made smaller."""
    plain, progressive = (Header("jpeg", 4000, 3000, progressive=flag) for flag in (False, True))

    assert 4.0 < decode_seconds(progressive, 2_000_000) / decode_seconds(plain, 2_000_000) < 8.0


def test_what_is_decoded_beside_the_picture_costs_as_much():
    """Alpha planes, layers and tiles are decoded like any pixel."""
    assert decode_seconds(Header("avif", 100, 100, extra=10_000), 0) == decode_seconds(Header("avif", 200, 100), 0)


def test_a_jpeg_of_many_bytes_costs_more_than_one_of_few():
    """Of the same size: at a quality of 95 its decoding takes two to three times as long as at 40."""
    few, many = (decode_seconds(Header("jpeg", 4000, 3000), size) for size in (500_000, 2_500_000))

    assert 2.0 < many / few < 3.0
