"""The ways to use a GPU, the fastest first: each is tried, and left for the next where a model cannot be run so, or
answers otherwise."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from server.inference.onnx.providers import Gpu
from server.models.errors import ModelError

Opened = TypeVar("Opened")


def plain_way(gpu: Gpu) -> Gpu:
    """ONNX Runtime's default options."""
    return replace(gpu, graphs=False, channels_last=False)


def ways(gpu: Gpu) -> list[Gpu]:
    """Those there are where the operator allows `gpu`."""
    plain = plain_way(gpu)
    return list(dict.fromkeys([replace(gpu, channels_last=True), replace(plain, channels_last=True), plain]))


def first_to_open(ways: Sequence[Gpu], opened: Callable[[Gpu], Opened]) -> tuple[Opened, str]:
    """What came of the first that could be opened, and why the very first could not; nothing if it could.

    Raises `ModelError` if the last of them fails too.
    """
    held_back = ""
    for way in ways[:-1]:
        try:
            return opened(way), held_back
        except ModelError as error:
            held_back = held_back or str(error)
    return opened(ways[-1]), held_back
