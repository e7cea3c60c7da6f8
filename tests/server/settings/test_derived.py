"""Limits that follow from the machine's memory."""

import pytest

from server.settings import ServerSettings, UploadSettings, WorkerSettings, derived

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("memory", "given", "expected"),
    [(8 * GB, None, GB), (GB // 10, None, 20_000_000), (8 * GB, 25_000_000, 25_000_000)],
    ids=["an eighth", "one image fits", "given"],
)
def test_uploads_may_take_an_eighth_of_the_memory(memory, given, expected):
    """And at least one image of the largest size, and what a setting says."""
    assert expected == derived.queue_bytes(UploadSettings(max_queue_bytes=given), memory)


@pytest.mark.parametrize(
    ("memory", "given", "expected"),
    [(1 << 30, None, 2048), (1000, None, 1), (1 << 30, 7, 7)],
    ids=["an eighth", "one at least", "given"],
)
def test_connections_may_take_an_eighth_of_the_memory(memory, given, expected):
    """At 64 KiB each."""
    assert expected == derived.connections(ServerSettings(max_connections=given), memory)


@pytest.mark.parametrize(
    ("memory", "workers", "given", "expected"),
    [(64 * GB, 4, None, 4 * GB), (2 * GB, 2, None, 832_000_000), (64 * GB, 4, 5, 5)],
    ids=["a quarter", "one image fits", "given"],
)
def test_workers_may_grow_by_a_quarter_of_the_memory(memory, workers, given, expected):
    """Shared by all of them, and decoding the largest image always fits."""
    settings = WorkerSettings(max_worker_growth=given)

    assert expected == derived.worker_growth(settings, UploadSettings(), memory, workers)
