"""The access log: one line per request, refused ones too, at a few microseconds each.

Under overload thousands of requests per second are refused, and the way through structlog costs more than a refusal.
These lines go to the same writer as all others. It drops what standard error does not take, counts it and says so.
"""

import os
from datetime import UTC, datetime

import msgspec

from server.process import console

_STDERR = 2


class _Line(msgspec.Struct, omit_defaults=True):
    """In the order and with the names of every other log line."""

    request_id: str
    resource: str
    outcome: str
    ms: float
    event: str
    level: str
    timestamp: str
    client: str = ""
    trace_id: str = ""


class AccessLog:
    """Writes lines if `enabled`. Writing one never raises and never waits."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self._terminal = os.isatty(_STDERR)
        self._write = console.writer(_STDERR).write
        self._encode = msgspec.json.Encoder().encode

    def request(
        self, request_id: str, resource: str, outcome: str, seconds: float = 0.0, client: str = "", trace_id: str = ""
    ) -> None:
        """One request has ended. `request_id` is a checked one; `seconds`: from its first byte to its answer; `client`:
        an address, where one is known."""
        if not self.enabled:
            return
        ms, timestamp = round(seconds * 1e3, 3), f"{datetime.now(UTC).replace(tzinfo=None).isoformat()}Z"
        if self._terminal:
            line = f"{timestamp} [info     ] request  {outcome} {resource} {ms} ms {request_id} {client}".encode()
        else:
            line = self._encode(
                _Line(request_id, resource, outcome, ms, "request", "info", timestamp, client, trace_id)
            )
        self._write(line + b"\n")
