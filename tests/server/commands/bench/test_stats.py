"""Figures from rows made by hand."""

from math import nan

import numpy as np
import pytest

from server.commands.bench.records import DTYPE, ROW, Outcome, outcome_name, rows_of
from server.commands.bench.stats import answer_rate, curve, spread, summarize, timeline


def rows(*given):
    """Rows of (due, latency, outcome), or with a dictionary of more fields."""
    made = np.zeros(len(given), DTYPE)
    for name in ("queue", "decode", "infer", "retry_after"):
        made[name] = nan
    for row, (due, latency, outcome, *more) in zip(made, given, strict=True):
        row["due"], row["latency"], row["outcome"] = due, latency, outcome
        for name, value in (more[0] if more else {}).items():
            row[name] = value
    return made


def test_a_row_is_read_as_it_was_packed():
    """Byte for byte, whatever the numbers."""
    (row,) = rows_of(ROW.pack(1.5, 0.25, 0.5, -3, 7, 32, 1, 0.125, 0.5, nan, 2.0))

    assert (1.5, 0.25, 0.5, -3, 7, 32, 1, 0.125, 0.5, 2.0) == (*row.tolist()[:9], row["retry_after"])
    assert np.isnan(row["infer"])


def test_what_was_due_in_the_window_is_offered():
    """Whenever it was answered; warm-up is not, and what comes after is not."""
    figures = summarize(rows((-0.1, 5, 200), (0.0, 5, 200), (0.9, 0.1, 200), (1.0, 0.1, 200)), 1.0, 1.0)

    assert (2, 2, 1) == (figures.offered, figures.ok, figures.good)


def test_good_is_a_right_answer_in_time():
    """A refusal, a wrong answer and a late one are not; all but the unanswered are answers."""
    figures = summarize(
        rows(
            (0, 0.1, 200),
            (0, 0.2, 200),
            (0, 0.3, 200),
            (0, 0.01, 503),
            (0, 0.01, Outcome.WRONG),
            (0, 9, Outcome.NO_ANSWER),
        ),
        2.0,
        0.25,
    )

    assert (6, 5, 3, 2, 1) == (figures.offered, figures.answered, figures.ok, figures.good, figures.refused)
    assert (3.0, 1.0) == (figures.offered_rate, figures.goodput)
    assert pytest.approx(2 / 6) == figures.good_share
    assert pytest.approx(2 / 5) == figures.kept_share


def test_latencies_are_those_of_the_200s():
    """Fast refusals do not make a server look fast."""
    figures = summarize(rows((0, 0.5, 200), *[(0, 0.001, 503)] * 99), 1.0, 1.0)

    assert (0.5, 0.5) == (figures.latency.p50, figures.latency.p99)
    assert 99 == figures.refusal.count


def test_quantiles_are_values_that_occurred():
    """Of a hundred, the 99th; nothing is interpolated into being."""
    values = spread(np.arange(1, 101, dtype=np.float32))

    assert (100, 50, 90, 99, 100, 100) == (
        values.count,
        values.p50,
        values.p90,
        values.p99,
        values.p999,
        values.most,
    )


def test_what_is_not_said_is_not_spread():
    """NaN is no number; nothing but NaN is no spread."""
    assert 1 == spread(np.array([nan, 0.5], np.float32)).count
    assert spread(np.array([nan], np.float32)) is None


def test_nothing_has_no_figures_and_fails_at_nothing():
    """A run in which nothing came."""
    figures = summarize(rows(), 1.0, 1.0)

    assert (0, 0.0, None, None, 0.0) == (
        figures.offered,
        figures.good_share,
        figures.latency,
        figures.kept_share,
        figures.rate,
    )
    assert curve(rows(), 1.0, [0.5]) == []


def test_a_rate_counts_whole_bursts():
    """Eight at once, every 0.3 s: 26.7 a second wherever the window ends."""
    bursts = [(0.3 * burst - 1, 0.05, 200) for burst in range(12) for _ in range(8)]

    for window_s in (1.0, 1.1, 1.2, 1.25):
        assert pytest.approx(8 / 0.3, rel=1e-4) == answer_rate(rows(*bursts), window_s)


def test_batches_are_counted_by_images():
    """An image in a batch of four counts once for four."""
    figures = summarize(rows(*[(0, 0.1, 200, {"batch": 4})] * 4, (0, 0.1, 200, {"batch": 1})), 1.0, 1.0)

    assert {1: 1, 4: 4} == figures.batches


def test_a_timeline_has_every_slice():
    """Also those in which nothing was answered."""
    bins = timeline(rows((0.1, 0.2, 200), (0.3, 9, Outcome.NO_ANSWER), (0.9, 2.0, 200)), 1.0, 1.0)

    assert [(0.0, 1, 1), (0.25, 1, 0), (0.5, 0, 0), (0.75, 1, 0)] == [(b.start, b.offered, b.good) for b in bins]
    assert [None, None] == [bins[1].p50, bins[2].p99]
    assert 2.0 == bins[3].p99


def test_a_curve_rises():
    """The latency at each share."""
    given = rows(*[(0, value / 100, 200) for value in range(1, 101)])

    assert pytest.approx([0.5, 0.9, 0.99]) == curve(given, 1.0, [0.5, 0.9, 0.99])


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_name(outcome):
    """For people."""
    assert outcome_name(outcome).isascii()
    assert not outcome_name(outcome).lstrip("-").isdigit()
