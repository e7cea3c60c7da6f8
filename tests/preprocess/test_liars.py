"""Containers that lie about their sizes: no decoder does more than the header was priced for.

By hand, for as many as there is time for:

TEST_LIARS=20000 python -m pytest tests/preprocess/test_liars.py -s --timeout 0
"""

import os
import re
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from preprocess import ImageError, Limits, Recipe, read_header
from preprocess.cost import decode_seconds
from preprocess.tensor import prepare
from tests.preprocess.liars import Liar
from tests.preprocess.pictures import encode, photo

LIMITS = Limits(max_pixels=4_000_000)
RECIPE = Recipe(width=64, height=64)
COUNT = int(os.environ.get("TEST_LIARS", 350))

BYTES_PER_PIXEL = 16  # docs/images.md
BASE_BYTES = 24_000_000  # copies of the file, buffers of a decoder, what an allocator keeps
TIMES_CPU, BASE_CPU_S = 10.0, 0.3  # server/inference/cpu_watch.py

CODES = {"answered", "image_corrupt", "image_truncated", "too_many_pixels", "unsupported_format", "image_too_costly"}


def peak_bytes():
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) * 1024


def resident_bytes():
    return int(re.findall(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) * 1024


def measured(data, slot):
    """(code, CPU seconds, bytes at the peak beyond what there was)."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is that of now
    before, begun = resident_bytes(), time.thread_time()
    try:
        prepare(data, RECIPE, slot, LIMITS)
        code = "answered"
    except ImageError as error:
        code = error.code
    return code, time.thread_time() - begun, peak_bytes() - before


def promised(data):
    """(pixels, predicted CPU seconds); of what the header refuses, none."""
    try:
        header = read_header(data, LIMITS)
    except ImageError:
        return 0, 0.0
    return header.pixels, decode_seconds(header, len(data))


def pace():
    """How much slower than the machine of the estimate this one is now."""
    data, slot = encode(photo(1000, 800), "PNG"), np.zeros(RECIPE.shape, RECIPE.dtype)
    times = [measured(data, slot)[1] for _ in range(3)]
    return max(1.0, min(times) / decode_seconds(read_header(data, LIMITS), len(data)))


@pytest.mark.long
@pytest.mark.timeout(0 if COUNT > 1000 else 120)
def test_nothing_costs_more_than_its_header_was_priced_for():
    """CPU within ten times the prediction and 0.3 s, memory within 16 bytes per pixel and 24 MB; known codes only."""
    liar, slot, slower = Liar(seed=20), np.zeros(RECIPE.shape, RECIPE.dtype), pace()
    counts, worst_cpu, worst_memory = Counter(), (0.0, ""), (0, "")
    for number in range(COUNT):
        format, data = liar.make()
        pixels, predicted_s = promised(data)
        code, seconds, grown = measured(data, slot)
        counts[format, code] += 1
        worst_cpu = max(worst_cpu, (seconds - TIMES_CPU * predicted_s * slower, f"{format} {number}"))
        worst_memory = max(worst_memory, (grown - BYTES_PER_PIXEL * pixels - 3 * len(data), f"{format} {number}"))
        assert code in CODES
        assert worst_cpu[0] < BASE_CPU_S * slower, (worst_cpu, len(data), pixels)
        assert worst_memory[0] < BASE_BYTES, (worst_memory, len(data), pixels)

    print(dict(counts), worst_cpu, worst_memory)
    assert {code for (_, code), _ in counts.items()} >= {"answered", "image_corrupt", "too_many_pixels"}
    assert all(counts[format, "answered"] for format, _ in counts)
