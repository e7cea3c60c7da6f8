"""Where we reach into hypercorn, h11 and uvicorn: these fail when a version has changed what is reached into."""

import inspect
from importlib.metadata import version

import h11._readers as h11_readers
import pytest
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config
from hypercorn.protocol.h11 import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from server.web.uvicorn_connection import Connection


@pytest.mark.parametrize(
    ("library", "known"), [("hypercorn", "0.18.0"), ("h11", "0.16.0"), ("uvicorn", "0.54.0"), ("httptools", "0.9.0")]
)
def test_library_is_the_version_we_know(library, known):
    """Read the change log, check the two *_connection.py and body.py in server/web, then change this line."""
    assert known == version(library)


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (H11Protocol._handle_events, "await self._check_protocol(event)"),
        (H11Protocol._handle_events, "await self._create_stream(event)"),
        (H11Protocol._handle_events, "await self._send_error_response(error.error_status_hint)"),
        (H11Protocol._handle_events, "await self.can_read.wait()"),
        (TCPServer.run, "await self._read_data()"),
        (TCPServer.run, "await self._close()"),
        (Config.create_sockets, "self._create_sockets(self.bind)"),
        (h11_readers._decode_header_lines, "in _obsolete_line_fold(lines)"),
        (HttpToolsProtocol.on_message_begin, '"state": self.app_state.copy()'),
        (HttpToolsProtocol.on_message_begin, "self.headers = []"),
        (HttpToolsProtocol.on_headers_complete, "on_response=self.on_response_complete"),
        (HttpToolsProtocol.on_headers_complete, "self.pipeline.appendleft((self.cycle, app))"),
        (HttpToolsProtocol.shutdown, "self.cycle.keep_alive = False"),
        (RequestResponseCycle.receive, "if self.disconnected or self.response_complete"),
        (RequestResponseCycle.send, "self.on_response()"),
    ],
)
def test_what_is_replaced_is_still_called(where, line):
    """A method that nobody calls any more would open HTTP/2 again, or drop a limit, silently."""
    assert line in inspect.getsource(where)


def test_what_is_overridden_is_still_there():
    """Every public method of our connection has one of uvicorn's or asyncio's under it."""
    ours = {name for name, value in vars(Connection).items() if inspect.isfunction(value) and name[0] != "_"}

    assert "on_headers_complete" in ours
    assert [] == [name for name in ours if not hasattr(HttpToolsProtocol, name)]
