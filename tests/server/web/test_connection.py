"""Where we reach into hypercorn: these fail when a new version has changed what is reached into."""

import inspect
from importlib.metadata import version

from hypercorn.protocol.h11 import H11Protocol


def test_hypercorn_is_the_version_we_know():
    """Read the change log, check server/web/connection.py and body.py, then change this line."""
    assert "0.18.0" == version("hypercorn")


def test_what_is_replaced_is_there_and_is_called():
    """Replacing a method nobody calls any more would open HTTP/2 again, silently."""
    assert inspect.iscoroutinefunction(H11Protocol._check_protocol)
    assert "await self._check_protocol(event)" in inspect.getsource(H11Protocol._handle_events)
