"""Where a picture stands on a canvas that may be larger."""

from __future__ import annotations

from typing import NamedTuple


class Frame(NamedTuple):
    """In pixels; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int
