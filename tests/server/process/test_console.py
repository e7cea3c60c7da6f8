"""Printing for people is harmless, however a process was started."""

import os
import signal
import subprocess
import sys

import pytest


def ran(code, closed=(), **environ):
    """A Python process with these descriptors closed from its start."""
    return subprocess.run(
        [sys.executable, "-c", f"from server.process import console\nimport os, sys\n{code}"],
        capture_output=True, timeout=30, check=False, env={**os.environ, **environ},
        preexec_fn=lambda: [os.close(number) for number in closed],
    )  # fmt: skip


def test_what_is_said_goes_to_standard_output_and_complaints_to_standard_error():
    """A line each, written by the time that the process has ended."""
    ended = ran("console.say('soup')\nconsole.complain('no soup')")

    assert (b"soup\n", b"no soup\n", 0) == (ended.stdout, ended.stderr, ended.returncode)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_no_file_or_socket_gets_the_number_of_a_closed_standard_stream(closed):
    """The first descriptor that is opened is above them, and printing of any kind goes on."""
    ended = ran(
        "console.secure_descriptors()\nprint('x', flush=True)\nprint('x', file=sys.stderr, flush=True)\n"
        "sys.stdin.read()\nos._exit(os.open('.', os.O_RDONLY))",
        closed,
    )

    assert ended.returncode > 2, ended.stderr


def test_a_terminal_that_knows_only_ascii_gets_the_rest_as_escapes():
    """And no error, which would end a server."""
    ended = ran("console.say('soupi\\u00e8re')", PYTHONIOENCODING="ascii")

    assert (b"soupi\\xe8re\n", 0) == (ended.stdout, ended.returncode)


def test_the_thread_that_writes_takes_no_signal():
    """One that the main thread holds would end the process there."""
    ended = ran(
        "console.say('x')\nfrom server.process import signals\nsignals.hold()\n"
        "os.kill(os.getpid(), 15)\nprint(signals.held(), flush=True)\nos._exit(0)"
    )

    assert (0, True) == (ended.returncode, b"True" in ended.stdout)
    assert ended.returncode != -signal.SIGTERM
