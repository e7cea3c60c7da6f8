"""What is let go of is freed at once, without the garbage collector."""

import gc
import weakref

import pytest

from batcher.cycles import clear, raise_unheld


class Body:
    """Something large."""


@pytest.fixture(autouse=True)
def _no_collector():
    gc.disable()
    yield
    gc.enable()


def test_error_that_is_raised_keeps_no_frame_alive():
    """The frames it passed are gone with it, and all that was in them."""

    def fail():
        body = Body()
        seen.append(weakref.ref(body))
        errors = [ZeroDivisionError()]
        raise_unheld(errors.pop())

    seen = []
    with pytest.raises(ZeroDivisionError) as raised:
        fail()
    del raised

    assert seen[0]() is None


def test_objects_that_point_at_each_other_are_freed():
    """Once they are cleared."""
    one, other = Body(), Body()
    one.other, other.other = other, one
    seen = weakref.ref(one)
    clear(one)
    del one, other

    assert seen() is None
