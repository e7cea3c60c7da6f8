"""Configurations of a GPU, the fastest first. Each is tried; the next one is taken if the model cannot run in it, or
answers differently."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from server.inference.onnx.providers import Gpu
from server.models.errors import ModelError

Opened = TypeVar("Opened")


def baseline(gpu: Gpu) -> Gpu:
    """ONNX Runtime's default options."""
    return replace(gpu, graphs=False, channels_last=False)


def configurations(gpu: Gpu) -> list[Gpu]:
    """All that the operator's `gpu` allows, the fastest first."""
    plain = baseline(gpu)
    return list(dict.fromkeys([replace(gpu, channels_last=True), replace(plain, channels_last=True), plain]))


def first_to_open(choices: Sequence[Gpu], opened: Callable[[Gpu], Opened]) -> tuple[Opened, str]:
    """The first that opens, and why the fastest did not; an empty reason if it did.

    Raises `ModelError` if the last of them fails too.
    """
    fallback_reason = ""
    for configuration in choices[:-1]:
        try:
            return opened(configuration), fallback_reason
        except ModelError as error:
            fallback_reason = fallback_reason or str(error)
    return opened(choices[-1]), fallback_reason
