"""Damaged text of protocols, the same for the same seed, and how much of it to try.

By hand, for more: TEST_FUZZ=100000 make test ARGS="tests/faults/test_fuzz.py -s"
"""

import os
from itertools import pairwise

import numpy as np

COUNT = int(os.environ.get("TEST_FUZZ", "400"))
"""Cases of each kind."""


def mutations(goods, tokens, seed):
    """Yield damaged variants of `goods` for ever; `tokens` are what the protocol's readers look out for."""
    random = np.random.default_rng(seed)
    while True:
        data = bytearray(goods[random.integers(len(goods))])
        for _ in range(random.integers(1, 5)):
            _damage(data, goods[random.integers(len(goods))], tokens, random)
        yield bytes(data)


def _damage(data, other, tokens, random):
    at = int(random.integers(len(data) + 1))
    token = tokens[random.integers(len(tokens))]
    match random.integers(7):
        case 0:
            data[at:at] = token
        case 1:
            data[at : at + len(token)] = token
        case 2:
            del data[at : at + int(random.integers(1, 40))]
        case 3:
            data[at : at + 1] = bytes([random.integers(256)])
        case 4:
            piece = data[at : at + int(random.integers(1, 60))]
            data[at:at] = piece * int(random.integers(1, 5))
        case 5:
            data[at:at] = token * int(random.choice([2, 100, 5000]))
        case _:
            start = int(random.integers(len(other)))
            data[at:at] = other[start : start + int(random.integers(1, 60))]


def cut(data, random):
    """The same bytes in pieces."""
    edges = sorted({0, len(data), *(int(edge) for edge in random.integers(0, len(data) + 1, size=random.integers(8)))})
    return [data[start:end] for start, end in pairwise(edges)]
