"""A bell between two processes on one host: it says that something has changed in a folder, and nothing else.

A ring may be lost, and many may be one: whoever hears it, or starts, looks into the folder, which is the truth.
"""

import os
import socket
from pathlib import Path

_RING = b"\0"


class Doorbell:
    """The button of one bell, and the bell of another. Both are Unix datagram sockets in the folder."""

    def __init__(self, folder: Path, own: str, other: str) -> None:
        """`own`: the name of the bell that is heard here. Raises `OSError`, for a path too long for a socket, too."""
        self._other = folder / other
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        path = folder / own
        path.unlink(missing_ok=True)
        self._socket.bind(os.fspath(path))
        path.chmod(0o600)

    def fileno(self) -> int:
        """To be watched for reading."""
        return self._socket.fileno()

    def ring(self) -> None:
        """Ring the other's bell; nothing happens if nobody is there, or it rings already."""
        try:
            self._socket.sendto(_RING, os.fspath(self._other))
        except OSError:
            pass

    def hear(self) -> None:
        """Take in all rings so far."""
        try:
            while self._socket.recv(1):
                pass
        except OSError:
            pass

    def close(self) -> None:
        """Hear nothing more."""
        self._socket.close()
