"""The signals that end a server: held while it cannot listen to them yet, ignored by its children.

Service managers and terminals send them to all processes of a service, at any time. Only the supervisor acts on them.
Quick to import: until `hold` has been called, they end the process as they end any other.
"""

import signal

ENDING = frozenset({signal.SIGTERM, signal.SIGINT})


def hold() -> None:
    """Let them wait until `release`; a process that is started meanwhile has them wait from its first instruction."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def held() -> bool:
    """Whether one waits."""
    return bool(signal.sigpending() & ENDING)


def release() -> None:
    """Let them come: those that waited come now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def ignore() -> None:
    """From now on none comes, nor one that waited."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    release()
