"""Limits that follow from the machine where no setting gives them. Pure: the caller measures the machine.

Of the memory that a container or a machine has (server/process/memory.py), an eighth may hold uploads, an eighth open
connections, and a quarter the growth of workers. Half is left for models, libraries and everything else.
"""

from server.settings.topics import ServerSettings, UploadSettings, WorkerSettings

_CONNECTION_BYTES = 64 * 1024  # more than an idle connection takes
_DECODED_BYTES = 16  # per pixel: the most that decoding one image takes for a moment (docs/images.md)


def queue_bytes(upload: UploadSettings, memory: int) -> int:
    """Encoded bytes held for all images; at least one of the largest fits."""
    return upload.max_queue_bytes or max(memory // 8, upload.max_image_bytes)


_IMAGES = 4  # of the largest size, that fit into one request with several


def request_bytes(upload: UploadSettings, memory: int) -> int:
    """The body of one request with several images or tensors."""
    return min(_IMAGES * upload.max_image_bytes, queue_bytes(upload, memory))


def connections(server: ServerSettings, memory: int) -> int:
    """Open connections, as far as there are descriptors for them."""
    return server.max_connections or max(1, memory // 8 // _CONNECTION_BYTES)


def worker_growth(worker: WorkerSettings, upload: UploadSettings, memory: int, workers: int) -> int:
    """Bytes by which each of `workers` may outgrow its start; decoding the largest image must fit."""
    return worker.max_worker_growth or max(memory // 4 // workers, _DECODED_BYTES * upload.max_pixels)
