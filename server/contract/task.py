"""What comes in, and goes through the queue to a worker."""

from typing import NamedTuple

from preprocess.header import Header


class Upload(NamedTuple):
    """An image as it came in, its header checked."""

    body: bytes
    header: Header
