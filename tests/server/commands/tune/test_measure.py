"""What a measurement leaves: rows, and layouts without any."""

from server.commands.tune.measure import Findings
from server.fleet.layout.choose import Layout, Row

ROW = Row(workers=2, threads=1, batch=1, rate=50.5, batch_s=0.04, lone_s=0.04)
ONE, TWO, BOTH = Layout(1, 1), Layout(1, 2), Layout(2, 1)


def test_layout_that_cannot_be_measured_has_been_looked_at_and_one_there_was_no_time_for_has_not():
    """Both are lost, with their reasons; a second look that is skipped takes nothing away from the first."""
    findings = Findings([ROW], failed={TWO: "the worker has gone"}, skipped={ONE: "no time", BOTH: "no time"})

    assert {BOTH, TWO} == findings.looked_at
    assert {TWO: "the worker has gone", ONE: "no time"} == findings.lost
