"""Logs that a machine can read, a stranger cannot forge, and a flood cannot drown."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from server.process import logs
from server.process.logs import FloodGate, escape


def logged(code):
    """What a process that runs `code` writes on standard error."""
    script = (
        "from server.process import logs\nlogs.configure()\nimport logging, os, structlog, sys\n"
        f"log = structlog.stdlib.get_logger('t')\n{code}"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    return ran.stderr.splitlines()


def test_each_event_is_one_json_line():
    """Name, values, level and time."""
    (line,) = logged("log.warning('worker_died', worker=3)")

    event = json.loads(line)
    assert ("worker_died", 3, "warning") == (event["event"], event["worker"], event["level"])
    assert event["timestamp"].endswith("Z")


def test_what_libraries_log_looks_the_same():
    """hypercorn and asyncio use the standard library's logging."""
    (line,) = logged("logging.getLogger('hypercorn.error').error('boom %s', 1)")

    assert "boom 1" == json.loads(line)["event"]


def test_what_is_wrong_with_a_form_is_not_logged():
    """Each malformed one has a text of its own, so that no flood of them would be thinned out."""
    assert [] == logged("logging.getLogger('python_multipart.multipart').warning('invalid character %d', 13)")


def test_flood_of_a_library_is_thinned_out_and_no_matter_to_it():
    """Logging returns, whether the line was written or not: what it raised would end an event loop."""
    lines = logged("for n in range(100): logging.getLogger('a_library').warning('odd')\nprint('done')")

    assert ["odd"] * 20 == [json.loads(line)["event"] for line in lines]


def test_traceback_is_inside_its_line():
    """One event, one line, also for an exception."""
    (line,) = logged("try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('request_failed')")

    assert "ZeroDivisionError" in json.loads(line)["exception"]


@pytest.mark.parametrize("text", ["a\nb", "a\r\n{}", "\x1b[31mred", "x\x00y"])
def test_control_characters_are_escaped(text):
    """Whatever got in, it stays on its line and colours nothing."""
    event = escape(None, "info", {"event": "e", "value": text})

    assert event["value"].isprintable()
    assert text == event["value"].encode().decode("unicode_escape")


def test_flood_of_one_event_is_thinned_out_and_others_are_not():
    """Twenty lines, then silence for that event alone."""
    gate = FloodGate()

    def passes(name):
        try:
            return bool(gate(None, "info", {"event": name}))
        except structlog.DropEvent:
            return False

    assert [True] * 20 + [False] * 80 == [passes("same") for _ in range(100)]
    assert passes("other")


def test_writing_never_raises():
    """A full disk must not take the service down."""
    script = "from server.process import logs; logs.configure()\nimport os, structlog\n" + (
        "structlog.stdlib.get_logger('t').info('lost')\nprint('alive', flush=True)\nos._exit(0)"
    )
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=full, timeout=30, check=True
        )

    assert b"alive\n" == ran.stdout


def test_terminal_gets_readable_lines():
    """On a terminal nobody wants to read JSON."""
    lines = []
    handlers, level = logging.root.handlers, logging.root.level
    try:
        logs.configure(lines.append, terminal=True)
        structlog.stdlib.get_logger("t").info("worker_ready", worker=1)
    finally:
        logging.root.handlers = handlers
        logging.root.setLevel(level)
        structlog.reset_defaults()

    (line,) = lines
    assert b"worker_ready" in line
    assert b"{" not in line


def test_traceback_colours_nothing():
    """The message of an exception may hold what a file is named; only the line breaks of a traceback stay."""
    event = escape(None, "error", {"event": "e", "exception": "Traceback\n  boom \x1b[31m"})

    assert "Traceback\n  boom \\x1b[31m" == event["exception"]
