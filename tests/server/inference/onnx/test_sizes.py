"""Batch sizes: which are run, and what a batch is filled up to."""

import pytest

from server.inference.onnx.sizes import buckets, every_size, filled_up


@pytest.mark.parametrize(
    ("most", "sizes"), [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (8, (1, 2, 4, 8)), (12, (1, 2, 4, 8, 12))]
)
def test_buckets_double_up_to_the_largest(most, sizes):
    """The largest is there even if it is no power of two."""
    assert sizes == buckets(most)


def test_filled_up_wastes_no_more_than_it_must():
    """To the next size, and not at all where that is the batch's own."""
    assert [1, 2, 4, 4, 6, 6] == [filled_up(count, buckets(6)) for count in range(1, 7)]
    assert [1, 2, 3] == [filled_up(count, every_size(3)) for count in range(1, 4)]
