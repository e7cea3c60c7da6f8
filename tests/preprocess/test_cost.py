"""An estimate that orders images as their decoding does."""

from typing import get_args

import pytest

from preprocess.cost import decode_seconds
from preprocess.header import Format, Header


@pytest.mark.parametrize("kind", get_args(Format))
def test_more_pixels_cost_more(kind):
    """Every format on the allow-list has its cost."""
    costs = [decode_seconds(Header(kind, side, side)) for side in (1, 100, 1000, 5000)]

    assert sorted(costs) == costs
    assert 0 < costs[0] < costs[-1] < 2


def test_phone_photo_as_jpeg_is_cheaper_than_as_heic():
    """A JPEG is decoded at a fraction of its size; the others cannot be."""
    assert decode_seconds(Header("jpeg", 4000, 3000)) < decode_seconds(Header("heic", 4000, 3000)) / 10
