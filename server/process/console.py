"""The one place from which a server prints for people, and what makes printing harmless.

A server may be started with its standard descriptors closed, its output on a full disk, a pipe whose reader has left
or a terminal that knows only ASCII. None of these may end it, so nothing here raises or waits.
"""

import os
import sys
from functools import cache
from typing import TextIO

from server.process.writer import Writer

_STDIN, _STDOUT, _STDERR = 0, 1, 2


def secure_descriptors() -> None:
    """Open what is closed of descriptors 0, 1 and 2 on the null device; for the first lines of a process.

    A socket or pipe that took one of their numbers would be read or written by whoever means the standard stream, and
    would be replaced in every child.
    """
    for descriptor in (_STDIN, _STDOUT, _STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number that is free: this one
    sys.stdin = sys.stdin or os.fdopen(_STDIN, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(_STDOUT, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(_STDERR, "w", closefd=False)


def say(text: str) -> None:
    """Print lines on standard output."""
    writer(_STDOUT).write(_encoded(text, sys.stdout))


def complain(text: str) -> None:
    """Print lines on standard error."""
    writer(_STDERR).write(_encoded(text, sys.stderr))


@cache
def writer(descriptor: int) -> Writer:
    """This process's writer to that descriptor, for lines that are encoded already."""
    return Writer(descriptor, _lost_line if descriptor == _STDERR else None)


def _lost_line(count: int) -> bytes:
    return b'{"event": "lines_lost", "level": "warning", "lines": %d}\n' % count


def _encoded(text: str, stream: TextIO) -> bytes:
    return f"{text}\n".encode(getattr(stream, "encoding", None) or "utf-8", "backslashreplace")
