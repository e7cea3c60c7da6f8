"""When an upload was here, and by when it is to be answered."""

from collections.abc import Sequence
from typing import NamedTuple

from server.web.paths import Target


class Times(NamedTuple):
    """Of one request, in seconds on the monotonic clock: its head, its last byte, its answer."""

    received: float
    uploaded: float
    answered: float


class Due(NamedTuple):
    """When an upload was here, and by when it is to be answered, as `Times`; and by which models."""

    uploaded: float
    deadline: float
    asked: Sequence[Target]
