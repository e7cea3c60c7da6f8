"""Figures are computed within a round, judged by the median, and missing where there is none."""

import json
import re

import pytest

from benchmarks import figures, render
from benchmarks.contenders import CONTENDERS


def stage(rate=80.0, goodput=80.0, refused=0, p50=0.01, cpu_s=1.6, ok=80):
    spread = {"count": ok, "p50": p50, "p90": p50, "p99": 2 * p50, "p999": 2 * p50, "most": 2 * p50}
    return {
        "figures": {
            "rate": rate,
            "goodput": goodput,
            "ok": ok,
            "refused": refused,
            "window_s": 1.0,
            "latency": spread,
            "kept_share": 1.0,
        },
        "cpu_s": cpu_s,
        "client_share": 0.2,
        "others_share": 0.01,
        "memory": 100_000_000,
    }


def a_round(**changes):
    """A round in which everyone does the same."""
    roof = {"rate": 125.0, "cpu_s": 0.016, "others": 0.0, "lone_s": 0.008, "batch": 1}
    return {"roof": roof, **{name: {"c1": stage(), "c32": stage(), "x2": stage()} for name in CONTENDERS}, **changes}


def whole(*rounds, quick=False):
    work = {
        "title": "tiny + 320x240",
        "slo_s": 0.1,
        "least_efficiency": 0.85,
        "picture_bytes": 20_000,
        "rounds": list(rounds),
    }
    return {
        "when": "2026-01-02T03:04:05+00:00",
        "machine": {"CPU": "one"},
        "method": {"seconds": 1.0, "rounds": len(rounds), "factors": [0.7, 2.0], "quick": quick},
        "rest": {"start_s": 1.0, "idle_cpu": 0.0, "web_memory": 50e6, "memory": 1e8},
        "works": {"tiny": work},
    }


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (figures.efficiency, 0.8),
        (figures.cpu_each, 0.02),
        (figures.cpu_above, 0.004),
        (figures.lone_above, 0.002),
        (figures.good_of_capacity("x2"), 1.0),
        (figures.latency("c32", "p99"), 0.02),
        (figures.memory, 100_000_000),
        (figures.kept("x2"), 1.0),
    ],
)
def test_what_is_measured_in_a_round(measure, expected):
    """80 of the 125 that the roof could do, beside a client that takes a fifth."""
    assert pytest.approx(expected) == measure(a_round(), "tureen")


def test_the_cpu_of_a_refusal_is_what_the_answers_leave():
    """Two seconds of CPU, 40 answers at 20 ms, and 600 refusals for the rest."""
    one = a_round(tureen={"c32": stage(), "x10": stage(ok=40, refused=600, cpu_s=2.0)})

    assert pytest.approx(1.2 / 600) == figures.refusal_cpu("x10")(one, "tureen")
    assert figures.refusal_cpu("x2")(a_round(), "tureen") is None


def test_the_median_of_the_rounds_counts():
    """With the range beside it."""
    rounds = [a_round(tureen={"c32": stage(rate=rate)}) for rate in (70.0, 90.0, 80.0)]

    found = figures.figure(rounds, figures.rate, "tureen")

    assert (80.0, 70.0, 90.0) == (found.median, found.least, found.most)


def test_a_flaw_leaves_a_round_out():
    """Another round may still have the figure."""
    rounds = [a_round(tureen={"flaw": "it died"}), a_round(), a_round(tureen={"c32": {"flaw": "503: 1"}})]

    assert 80.0 == figures.figure(rounds, figures.rate, "tureen").median
    assert figures.figure(rounds[:1], figures.rate, "tureen") is None


def test_budgets_are_kept_missed_or_not_measured():
    """Never kept for want of a figure."""
    verdicts = {one.name: one.kept for one in figures.budgets(whole(a_round()))}

    assert verdicts["efficiency, tiny + 320x240"] is False
    assert verdicts["goodput at 2x of capacity, tiny"] is True
    assert verdicts["CPU of a refusal at 10x, tiny"] is None
    assert verdicts["start to ready, demo model"] is True


def test_budgets_are_judged_for_the_other_http_server_as_well():
    """What its start and rest cost is the same, and is judged once."""
    slow = {"c1": stage(), "c32": stage(rate=40.0), "x2": stage()}
    one = a_round(tureen=slow)

    verdicts = {
        name: {row.name: row.kept for row in figures.budgets(whole(one), name)} for name in ("tureen", "uvicorn")
    }

    assert (None, True) == tuple(verdicts[name].get("start to ready, demo model") for name in ("uvicorn", "tureen"))
    efficient = [
        next(row.measured for row in figures.budgets(whole(one), name) if row.name.startswith("efficiency"))
        for name in ("tureen", "uvicorn")
    ]
    assert ["0.400", "0.800"] == efficient


@pytest.mark.parametrize("busy", ["tureen", "roof", "usual"])
def test_a_budget_is_disturbed_if_what_it_comes_from_was(busy):
    """Another contender's stages are nothing to it."""
    one = a_round()
    (one[busy] if busy == "roof" else one[busy]["c32"])["others_share"] = 0.4

    marks = {row.name: row.disturbed for row in figures.budgets(whole(one))}

    assert (busy != "usual") == marks["efficiency, tiny + 320x240"]
    assert not marks["start to ready, demo model"]


def test_the_page_says_what_was_measured_and_what_was_not(tmp_path):
    """Medians with their share of the ceiling, flaws with their reason, a quick or disturbed run as what it is."""
    disturbed = a_round(usual={"flaw": "the server did not start"})
    disturbed["tureen"]["x2"] = {"flaw": "the client was late"}
    disturbed["tuned"]["c32"]["others_share"] = 0.4
    render.render(whole(a_round(tureen={"c32": stage(rate=90.0)}), disturbed, quick=True), tmp_path)

    text = re.sub(" +", " ", (tmp_path / "performance.md").read_text())
    assert re.search(r"\| tiny \+ 320x240, deadline \d+ ms \| 125.0 \| 85.0 \(0.85\) \|", text)
    assert "FastAPI, as usual: the server did not start (rounds: 1)" in text
    assert "Tureen on hypercorn, x2: the client was late (rounds: 1)" in text
    assert "A quick run" in text
    assert "others used up to 40% of the machine" in text
    assert all(name in text for name in ("img/goodput.svg", "img/efficiency.svg"))
    assert all((tmp_path / "img" / name).stat().st_size < 100_000 for name in ("goodput.svg", "efficiency.svg"))


def test_the_raw_figures_are_plain_json():
    """So that the page can be made again."""
    assert json.loads(json.dumps(whole(a_round()))) == whole(a_round())
