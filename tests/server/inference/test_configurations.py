"""How a GPU is used: what is tried, in which order, and what is said of it."""

import pytest

from server.inference.configurations import baseline, configurations, first_to_open
from server.inference.onnx.providers import Gpu
from server.models.errors import ModelError


@pytest.mark.parametrize(
    ("graphs", "tried"),
    [
        (True, [(True, True), (False, True), (False, False)]),  # (graphs, channels last)
        (False, [(False, True), (False, False)]),
    ],
)
def test_the_fastest_way_is_first_and_the_plain_one_last(graphs, tried):
    """All of them on the GPU that was asked for, within its limit."""
    gpu = Gpu(index=3, graphs=graphs, memory_limit=5)

    assert [Gpu(3, *(graphs, 5, last)) for graphs, last in tried] == configurations(gpu)
    assert configurations(gpu)[-1] == baseline(gpu)


def opening(**errors):
    """What opens a way, or raises the error that it has by this name."""

    def opened(configuration):
        if configuration in errors:
            raise ModelError(errors[configuration])
        return configuration.upper()

    return opened


@pytest.mark.parametrize(
    ("errors", "opened", "fallback_reason"),
    [
        ({}, "A", ""),
        ({"a": "no graphs"}, "B", "no graphs"),
        ({"a": "no graphs", "b": "off by 2%"}, "C", "no graphs"),  # what to look into first
    ],
)
def test_the_first_that_opens_is_taken_and_it_is_said_what_is_wrong_with_the_fastest(errors, opened, fallback_reason):
    """Nothing is wrong where that is the one."""
    assert (opened, fallback_reason) == first_to_open(["a", "b", "c"], opening(**errors))


def test_where_none_opens_it_is_said_what_is_wrong_with_the_last():
    """That is the model as it is."""
    with pytest.raises(ModelError, match="the model is broken"):
        first_to_open(["a", "b", "c"], opening(a="no graphs", b="off by 2%", c="the model is broken"))
