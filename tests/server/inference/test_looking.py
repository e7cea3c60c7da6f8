"""Which images are looked at, and at what cost."""

import itertools

from preprocess.decode import decode
from preprocess.limits import Limits
from server.inference.looking import SHARE, Looker
from server.models.output_spec import Output
from tests.photos import photo


def looked(work_s, look_s, images=1000):
    """Give how many of so many images are looked at, each of which takes `work_s`; a look takes `look_s`."""
    clock = itertools.count(0.0, look_s)
    looker = Looker(Output(kind="raw"), Limits(), lambda: next(clock))
    picture = decode(photo(1), (16, 16), Limits())
    count = 0
    for _ in range(images):
        if looker.due:
            looker.inputs(photo(1), picture)
            count += 1
        looker.worked(work_s)
    return count


def test_the_cost_is_bounded():
    """Below 1 % of the work, but for the first look."""
    assert looked(0.01, 0.001) <= 1 + SHARE * 1000 * 0.01 / 0.001


def test_cheap_looks_are_taken_at_all_images():
    """Where the model takes its time."""
    assert 1000 - 2 <= looked(1.0, 0.001)


def test_dear_looks_are_rare():
    """A model that is fast keeps its pace."""
    assert looked(0.0001, 0.001) <= 2
