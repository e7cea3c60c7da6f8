"""The batch sizes a model is run with. Pure.

A size that has not been run before can be slow: on a GPU each new shape costs a search for the best kernels,
hundreds of milliseconds. There a batch is filled up to one of a few sizes, all of which have been warmed.
"""

from bisect import bisect_left


def every_size(most: int) -> tuple[int, ...]:
    """1, 2, 3, ...: no batch is filled up."""
    return tuple(range(1, most + 1))


def buckets(most: int) -> tuple[int, ...]:
    """1, 2, 4, ... and `most` itself."""
    powers = [1 << exponent for exponent in range(most.bit_length())]
    return (*(size for size in powers if size < most), most)


def slots_beside(batch: int, threads: int) -> int:
    """Slots where decoding runs beside the model: one batch is run while the next is filled, and each thread has
    one to fill, also where batches are smaller than there are threads."""
    return batch + max(batch, threads)


def filled_up(count: int, sizes: tuple[int, ...]) -> int:
    """The smallest size that holds `count` images. `sizes` rises; `count` is at most its last."""
    return sizes[bisect_left(sizes, count)]
