"""One line per request, none left out."""

import json
import subprocess
import sys


def written(code):
    """The lines that a process writes on standard error."""
    script = f"from server.process.access_log import AccessLog\n{code}"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    return ran.stderr.splitlines()


def test_each_of_a_flood_has_its_line():
    """Ten thousand refusals as fast as they can be made."""
    lines = written("for n in range(10_000): AccessLog(True).request(str(n), 'images', 'would_be_late')")

    assert [str(n) for n in range(10_000)] == [json.loads(line)["request_id"] for line in lines]


def test_a_line_has_the_names_of_every_other_log_line():
    """So that one tool reads them all."""
    (line,) = written("AccessLog(True).request('order-66', 'images', 'ok', 0.0123456)")

    said = json.loads(line)
    assert said.pop("timestamp").endswith("Z")
    expected = {"request_id": "order-66", "resource": "images", "outcome": "ok", "ms": 12.346}
    assert {**expected, "event": "request", "level": "info"} == said


def test_nothing_is_written_unless_it_was_asked_for():
    """`--access-log` is off by default."""
    assert [] == written("AccessLog(False).request('order-66', 'images', 'ok')")
