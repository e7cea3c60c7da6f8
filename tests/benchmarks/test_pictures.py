"""The pictures to measure with cost a decoder what photos cost."""

import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.pictures import main
from server.commands.bench.photos import photo


def opened(data):
    """The picture of `data`, not decoded yet."""
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(
    ("size", "least", "most"),
    [((320, 240), 18_000, 22_000), ((1024, 768), 140_000, 160_000), ((4000, 3000), 3_000_000, 4_000_000)],
)
def test_as_many_bytes_as_a_photo(size, least, most):
    """The entropy decoder's work follows the bytes."""
    data = photo(*size, seed=0)

    assert least <= len(data) <= most
    assert ("JPEG", size) == ((image := opened(data)).format, image.size)


def test_the_same_bytes_each_time():
    """A picture made today is the one that was measured yesterday."""
    assert photo(320, 240, seed=3) == photo(320, 240, seed=3)


def test_another_seed_is_another_picture():
    """Not only other noise: what is left of it at 16x12 differs."""
    small = [np.asarray(opened(photo(320, 240, seed)).resize((16, 12)), dtype=float) for seed in (1, 2)]

    assert np.abs(small[0] - small[1]).mean() > 10


def test_a_tall_picture_is_made_too():
    """Phones are held upright."""
    assert opened(photo(240, 320, seed=0)).size == (240, 320)


def test_the_command_writes_a_picture(tmp_path):
    """`python -m benchmarks.pictures 64 48 OUT.jpg`."""
    path = tmp_path / "out.jpg"

    assert main(["64", "48", str(path)]) == 0

    assert opened(path.read_bytes()).size == (64, 48)
