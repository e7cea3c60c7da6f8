"""The supervisor: owns the listening socket, the signals and the exit code; starts web and restarts it.

The socket outlives any web process, so the port never refuses while one is replaced: connections wait in
the backlog. A web process is told to end through its standard input, which also ends when the supervisor
is killed; so nothing is left behind either way.
"""

import asyncio
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import ExitStack

import structlog

from server.process import logs, signals
from server.process.control import HURRY_LINE, drain_line
from server.settings import Settings

EXIT_OK, EXIT_FAILED = 0, 1
_WEB_GAVE_UP = 3  # server.web.process.EXIT_FATAL: it has said why on standard error
_BACKLOG = 2048
_PAUSE_S = 0.1
_CRASHES, _WITHIN_S = 5, 30.0  # more deaths of web than this, in this time, end the server

log = structlog.stdlib.get_logger("tureen.supervisor")


def serve(settings: Settings) -> int:
    """Serve until SIGTERM, SIGINT or a failure; returns the exit code: 0 only after an orderly end."""
    logs.configure()
    if not settings.auth.is_set and not settings.is_local:
        log.warning("open_to_everybody", host=settings.host, advice="tureen keys add makes keys; --keys checks them")
    listeners: list[socket.socket] = []
    try:
        for host, port in _addresses(settings):
            listeners.append(_listen(host, port))
    except OSError as error:
        log.error("cannot_listen", address=f"{host}:{port}", reason=error.strerror or str(error))
        return EXIT_FAILED
    with ExitStack() as stack:
        for listener in listeners:
            stack.enter_context(listener)
        return asyncio.run(_Supervisor(settings, listeners).run())


def _addresses(settings: Settings) -> list[tuple[str, int]]:
    """Where to listen: for clients, and for admin resources where clients may be strangers."""
    clients = (settings.host, settings.port)
    return [clients] if settings.is_local else [clients, (settings.server.admin_host, settings.server.admin_port)]


class _Supervisor:
    def __init__(self, settings: Settings, listeners: Sequence[socket.socket]) -> None:
        self._settings = settings
        self._listeners = listeners
        self._stop = asyncio.Event()
        self._delay_s = 0.0
        self._web: Process | None = None
        self._crashes: list[float] = []

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._on_signal, self._settings.server.drain_delay)
        loop.add_signal_handler(signal.SIGINT, self._on_signal, 0.0)
        if signals.held():  # told to end before anything has begun
            return EXIT_OK
        signals.release()
        while True:
            web = self._web = await self._start_web()
            if await self._ended(web):
                code = await web.wait()
                if code == _WEB_GAVE_UP or self._crash_loop(code):
                    return EXIT_FAILED
                await asyncio.sleep(_PAUSE_S)
            else:
                return await self._stop_web(web)

    def _on_signal(self, delay_s: float) -> None:
        """The first signal starts the drain; a second one cuts it short."""
        if not self._stop.is_set():
            log.info("draining", seconds=delay_s)
            self._delay_s = delay_s
            self._stop.set()
        elif self._web:
            log.info("drain_cut_short")
            _tell(self._web, HURRY_LINE)

    async def _start_web(self) -> Process:
        fds = [listener.fileno() for listener in self._listeners]
        signals.hold()  # web inherits that, until it ignores them: one that goes to all would end it while it loads
        try:
            web = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "server.web.process", *map(str, fds)), pass_fds=fds, stdin=PIPE
            )
        finally:
            signals.release()
        _tell(web, self._settings.model_dump_json().encode() + b"\n")
        return web

    async def _ended(self, web: Process) -> bool:
        """Wait until the web process has ended (True) or the server is to stop (False)."""
        ended, stop = asyncio.ensure_future(web.wait()), asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((ended, stop), return_when=asyncio.FIRST_COMPLETED)
        if ended.done() and not stop.done():
            stop.cancel()
            return True
        ended.cancel()
        return False

    async def _stop_web(self, web: Process) -> int:
        """Let web drain, stop listening and answer what it has accepted; insist at the time limit."""
        for listener in self._listeners:
            listener.close()  # web holds the socket as well: the port closes when web closes it
        _tell(web, drain_line(self._delay_s))
        try:
            code = await asyncio.wait_for(web.wait(), self._settings.server.shutdown_timeout)
        except TimeoutError:
            web.kill()
            await web.wait()
            log.error(
                "shutdown_timeout", seconds=self._settings.server.shutdown_timeout, reason="not everything had ended"
            )
            return EXIT_FAILED
        return EXIT_OK if code == 0 else EXIT_FAILED

    def _crash_loop(self, code: int) -> bool:
        now = time.monotonic()
        self._crashes = [when for when in self._crashes if now - when < _WITHIN_S] + [now]
        log.warning("web_died", how=_how(code))
        if len(self._crashes) <= _CRASHES:
            return False
        log.error("giving_up", reason=f"the web process died {len(self._crashes)} times in {_WITHIN_S:g} s")
        return True


def _tell(web: Process, line: bytes) -> None:
    assert web.stdin
    web.stdin.write(line)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `OSError` (`socket.gaierror` for a name that does not resolve)."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(_BACKLOG)
    return listener


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
