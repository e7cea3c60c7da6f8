"""Which layouts there are, and which is chosen: tables."""

import pytest

from server.fleet.layout.choose import Layout, LayoutRequest, Row, choose, default, every, full, is_within


def row(workers, threads, batch, rate, lone_ms, batch_ms=None):
    return Row(
        workers=workers, threads=threads, batch=batch, rate=rate, lone_s=lone_ms / 1e3,
        batch_s=(batch_ms or lone_ms * batch) / 1e3,
    )  # fmt: skip


TWO_BY_ONE = row(2, 1, 1, rate=50, lone_ms=40)


@pytest.mark.parametrize(
    ("rows", "slo_s", "most", "chosen"),
    [
        pytest.param([TWO_BY_ONE, row(1, 2, 1, 38, 26)], 1, 8, 0, id="more images"),
        pytest.param([TWO_BY_ONE, row(1, 2, 1, 60, 17)], 1, 8, 1, id="or the reverse"),
        pytest.param([TWO_BY_ONE, row(1, 2, 1, 49, 20)], 1, 8, 1, id="within 3 % the sooner lone image"),
        pytest.param([row(1, 2, 1, 49, 20), TWO_BY_ONE], 1, 8, 0, id="whatever the order"),
        pytest.param([TWO_BY_ONE, row(1, 2, 1, 48, 20)], 1, 8, 0, id="beyond 3 % the more images"),
        pytest.param([TWO_BY_ONE, row(1, 1, 1, 49.5, 39.5)], 1, 8, 1, id="as many and as soon with fewer CPUs"),
        pytest.param([TWO_BY_ONE, row(2, 1, 8, 51, 40)], 1, 8, 0, id="as many with smaller batches"),
        pytest.param([TWO_BY_ONE, row(1, 2, 1, 38, 26)], 0.030, 8, 1, id="a lone image must be in time"),
        pytest.param([TWO_BY_ONE, row(2, 1, 8, 90, 40, 180)], 1, 4, 0, id="no batch larger than allowed"),
        pytest.param([TWO_BY_ONE, row(2, 1, 8, 90, 40, 180)], 0.36, 8, 1, id="a batch twice in the promise"),
        pytest.param([TWO_BY_ONE, row(2, 1, 8, 90, 40, 180)], 0.35, 8, 0, id="a batch not twice in the promise"),
        pytest.param([TWO_BY_ONE, row(1, 2, 1, 38, 26)], 0.010, 8, 1, id="none in time: the closest"),
    ],
)
def test_choice(rows, slo_s, most, chosen):
    """Throughput within the promise decides; ties go to the sooner lone image, then to fewer CPUs."""
    assert rows[chosen] == choose(rows, slo_s, most)


def test_nothing_measured_is_nothing_chosen():
    """Nor is anything whose batches are too large."""
    assert choose([], 1, 8) is None
    assert choose([row(1, 1, 16, 10, 1)], 1, 8) is None


@pytest.mark.parametrize(
    ("batch", "slo_s", "fits"), [(1, 0.04, True), (1, 0.039, False), (2, 0.16, True), (2, 0.159, False)]
)
def test_one_that_just_missed_a_batch_waits_for_two(batch, slo_s, fits):
    """A lone image waits for nothing but itself."""
    assert fits == is_within(row(1, 1, batch, 25, 40), slo_s)


@pytest.mark.parametrize(
    ("cpus", "asked", "layouts"),
    [
        (1, LayoutRequest(), [(1, 1)]),
        (2, LayoutRequest(), [(2, 1), (1, 2)]),
        (4, LayoutRequest(), [(4, 1), (2, 2), (1, 4)]),
        (6, LayoutRequest(), [(6, 1), (3, 2), (1, 4), (1, 6)]),
        (2, LayoutRequest(workers=1), [(1, 1), (1, 2)]),
        (8, LayoutRequest(workers=2), [(2, 1), (2, 2), (2, 4)]),
        (2, LayoutRequest(workers=3), [(3, 1)]),
        (8, LayoutRequest(threads=2), [(4, 2)]),
        (2, LayoutRequest(threads=4), [(1, 4)]),
        (2, LayoutRequest(5, 3), [(5, 3)]),
    ],
)
def test_full_layouts(cpus, asked, layouts):
    """All CPUs, few threads first; what is asked for is not questioned."""
    assert [Layout(*one) for one in layouts] == list(full(cpus, asked))
    assert full(cpus, asked)[0] == default(cpus, asked)


@pytest.mark.parametrize(
    ("cpus", "asked", "layouts"),
    [
        (2, LayoutRequest(), [(2, 1), (1, 2), (1, 1)]),
        (4, LayoutRequest(), [(4, 1), (2, 2), (1, 4), (1, 1), (1, 2), (2, 1)]),
        (2, LayoutRequest(workers=2), [(2, 1)]),
        (4, LayoutRequest(threads=1), [(4, 1), (1, 1), (2, 1)]),
    ],
)
def test_every_layout(cpus, asked, layouts):
    """Those that leave CPUs free come last."""
    assert [Layout(*one) for one in layouts] == list(every(cpus, asked))


@pytest.mark.parametrize(("layout", "words"), [(Layout(1, 2), "1 x 2 threads"), (Layout(2, 1), "2 x 1 thread")])
def test_layout_in_words(layout, words):
    """As the banner and the table have it."""
    assert words == str(layout)
