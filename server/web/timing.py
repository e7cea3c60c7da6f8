"""When an upload was here, and by when it is to be answered."""

from typing import NamedTuple


class Times(NamedTuple):
    """Of one request, in seconds on the monotonic clock: its head, its last byte, its answer."""

    received: float
    uploaded: float
    answered: float


class Due(NamedTuple):
    """When an upload was here, and by when it is to be answered; as `Times`."""

    uploaded: float
    deadline: float
