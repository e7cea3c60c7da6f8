"""`tureen top`: what it makes of what a server says, at whatever width."""

import io
import sys

from rich.console import Console

from server.commands.top.command import run
from server.commands.top.view import view
from tests.end_to_end.harness import serving
from tests.flood import overload
from tests.terminal import Terminal

SECOND = {
    "time": 1.0, "codes": {"ok": 90, "would_be_late": 10}, "answered": 90, "broken": 10, "p50_ms": 5.0, "p95_ms": 9.0,
    "p99_ms": 12.0, "batch": 3.5, "waiting": 7, "running": 4, "ready": 1, "workers": 2, "lag_ms": 0.4, "slo_ms": 1000.0,
}  # fmt: skip
DOCUMENT = {
    "history": [SECOND] * 60,
    "workers": [{"name": "food 1 0", "pid": 77, "state": "working", "held": 4, "quiet_s": 0.1}],
    "figures": [["tureen_cache_entries", "", 12.0], ["tureen_failed_images_total", "", 0.0]],
    "time": 1.0,
}


def shown(document, width):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(view(document, width))
    return console.export_text()


def test_a_screen_says_what_happens():
    """Goodput, the promise, latency, refusals by reason, workers, and figures that are not zero."""
    text = shown(DOCUMENT, 120)

    for part in (
        "90.0 answered/s",
        "90.00%",
        "p99 12 ms of 1000 ms",
        "workers 1/2",
        "would_be_late",
        "working",
        "cache_entries",
    ):
        assert part in text
    assert "failed_images" not in text


def test_it_is_readable_on_eighty_columns():
    """Charts are as long as the terminal is wide."""
    assert all(len(line) <= 80 for line in shown(DOCUMENT, 80).splitlines())


def test_a_server_that_has_just_started_has_nothing_to_show():
    """No history yet is no error."""
    assert "just started" in shown({**DOCUMENT, "history": []}, 80)


def test_what_cannot_be_watched_is_said(capsys):
    """Exit codes as elsewhere: 1 for no answer, 2 for no address."""
    assert 1 == run(["http://127.0.0.1:9", "--once"])
    assert 2 == run(["localhost", "--once"])
    assert "cannot be watched" in capsys.readouterr().err


def test_an_overload_is_seen_on_a_terminal_as_it_happens():
    """Second by second; Ctrl-C leaves it, and is no failure."""
    with serving("--workers", "1") as server:
        top = (sys.executable, "-m", "server", "top", f"http://127.0.0.1:{server.port}")
        with Terminal(*top) as terminal:
            terminal.until("waiting")
            with overload(server):
                terminal.until("would_be_late", "working")
            terminal.press("\x03")
            assert 0 == terminal.wait()
