"""Figures are computed within a round and judged by the median of the rounds."""

import json
from dataclasses import replace

import pytest

from benchmarks.report import Measured, Round, as_json, table

ROUND = Round(
    roof_rate=1000,
    roof_cpu_s=0.002,
    roof_others=0.01,
    served_rate=855,
    served_cpu_s=0.0023,
    served_others=0.01,
    client_share=0.05,
    p50_s=0.030,
    p99_s=0.060,
    bare_p50_s=0.0015,
    lone_p50_s=0.0020,
)


def measured(*rounds):
    return Measured("tiny + 320x240", 20_000, 1, 0.85, rounds)


def row(text, name):
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {name} ")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_efficiency_allows_for_the_client():
    """855 of the 950 that the roof could do beside a client that takes a twentieth of the box."""
    assert 0.9 == pytest.approx(ROUND.efficiency)


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("efficiency", {}, ["0.900", ">= 0.85", "kept"]),
        ("efficiency", {"served_rate": 760}, ["0.800", ">= 0.85", "MISSED"]),
        ("CPU above the ceiling", {}, ["0.300 ms", "<= 0.35 ms", "kept"]),
        ("CPU above the ceiling", {"served_cpu_s": 0.0024}, ["0.400 ms", "<= 0.35 ms", "MISSED"]),
        ("lone above in-process", {}, ["0.500 ms", "<= 0.6 ms", "kept"]),
        ("lone above in-process", {"lone_p50_s": 0.0022}, ["0.700 ms", "<= 0.6 ms", "MISSED"]),
        ("roof", {}, ["1,000.0 img/s", "", ""]),
    ],
)
def test_each_figure_stands_beside_its_budget(name, change, expected):
    """Value, budget, verdict."""
    _, median, _, budget, verdict = row(table(measured(replace(ROUND, **change))), name)

    assert expected == [median, budget, verdict]


def test_a_figure_is_the_median_of_the_rounds_own():
    """Roof and server of a round met the same machine; those of different rounds did not."""
    slow = replace(ROUND, roof_rate=500, served_rate=427.5)  # the same efficiency on half a machine
    text = table(measured(ROUND, slow, replace(ROUND, served_rate=760)))

    assert ["0.900", "0.800 to 0.900"] == row(text, "efficiency")[1:3]


def test_no_budget_no_verdict():
    """Where nothing is promised nothing is judged."""
    text = table(replace(measured(ROUND), least_efficiency=None))

    assert ["", ""] == row(text, "efficiency")[3:]


@pytest.mark.parametrize(("others", "said"), [(0.02, False), (0.2, True)])
def test_a_disturbed_measurement_says_so(others, said):
    """Whoever reads the table later was not there."""
    assert said == ("Disturbed" in table(measured(replace(ROUND, roof_others=others))))


def test_the_json_has_every_round():
    """Raw, so that another statistic can be taken later."""
    whole = json.loads(json.dumps(as_json(measured(ROUND, ROUND))))

    assert [1000, 1000] == [one["roof_rate"] for one in whole["rounds"]]
    assert 0.9 == pytest.approx(whole["medians"]["efficiency"])
