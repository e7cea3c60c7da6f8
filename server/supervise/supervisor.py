"""The supervisor: owns the listening socket, the signals, the children and the exit code.

The socket outlives any web process, so the port never refuses while one is replaced: connections wait in the backlog.
"""

import asyncio
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path

import structlog

from server import demo
from server.models.errors import ModelError
from server.models.kept import kept
from server.process import logs, signals, systemd
from server.settings import Settings
from server.supervise.child import Child, ChildSpec
from server.supervise.listening import CannotListen, listening, reserving
from server.supervise.restarts import GiveUp, RestartPolicy
from server.supervise.wide import ENGINE_SOCKET, widened

EXIT_OK, EXIT_FAILED = 0, 1
_WEB_GAVE_UP = 3  # server.web.process.EXIT_FATAL: it has said why on standard error
_CLEANUP_GAVE_UP = 3  # server.cleanup.process.EXIT_FATAL: likewise
_CONSUMER_GAVE_UP = 3  # server.consume.process.EXIT_FATAL: likewise

log = structlog.stdlib.get_logger("tureen.supervisor")


def serve(settings: Settings) -> int:
    """Serve until SIGTERM, SIGINT or a failure; returns the exit code: 0 only after an orderly end of every child."""
    logs.configure()
    with ExitStack() as stack:
        try:
            settings, listeners = listening(settings, systemd.passed_sockets())
            settings, reserved = reserving(settings)
        except CannotListen as error:
            log.error("cannot_listen", address=error.address, reason=error.reason)
            return EXIT_FAILED
        for listener in (*listeners, *reserved):
            stack.enter_context(listener)
        if not settings.auth.is_set and not settings.is_local:
            log.warning(
                "open_to_everybody", host=settings.host, advice="tureen keys add makes keys; --keys checks them"
            )
        try:
            private = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tureen-")))
            if not settings.repository.models:  # each version of a repository is copied when it is loaded
                model = stack.enter_context(kept(settings.model or demo.FOLDER))
                settings = settings.model_copy(update={"model": model})
            children = _children(stack, settings, listeners, private)
            return asyncio.run(Supervisor(children, settings, listeners).run())
        except ModelError as error:
            log.error("cannot_serve", reason=str(error))
            return EXIT_FAILED


def consume(settings: Settings) -> int:
    """Answer a queue, without HTTP, until SIGTERM, SIGINT or a failure; returns the exit code as `serve` does."""
    logs.configure()
    settings = settings.model_copy(update={"server": settings.server.model_copy(update={"drain_delay": 0.0})})
    try:
        with kept(settings.model or demo.FOLDER) as model:
            settings = settings.model_copy(update={"model": model})
            return asyncio.run(Supervisor([_consumer(settings)], settings, []).run())
    except ModelError as error:
        log.error("cannot_serve", reason=str(error))
        return EXIT_FAILED


def _children(
    stack: ExitStack, settings: Settings, listeners: Sequence[socket.socket], private: Path
) -> list[ChildSpec]:
    """`private`: a folder for the sockets between them. `stack`: closes what they inherit beside `listeners`."""
    engine = private / ENGINE_SOCKET if settings.queues.consume else None
    if settings.server.web > 1:
        settings = settings.model_copy(update={"port": listeners[0].getsockname()[1]})
        children = widened(stack, settings, listeners, private, _web(settings, listeners, engine))
    else:
        children = [_web(settings, listeners, engine)]
    if settings.storage.store:
        children.append(_cleanup(settings))
    if engine:
        children.append(_consumer(settings, engine))
    return children


def _web(settings: Settings, listeners: Sequence[socket.socket], engine: Path | None) -> ChildSpec:
    """`engine`: where it offers its engine to others, if to any."""
    descriptors = tuple(listener.fileno() for listener in listeners)
    return ChildSpec(
        name="web",
        module="server.web.process",
        settings=settings.model_dump_json().encode(),
        arguments=(str(engine or ""), "", *map(str, descriptors)),
        descriptors=descriptors,
        policy=RestartPolicy(fatal=frozenset({_WEB_GAVE_UP})),
    )


def _cleanup(settings: Settings) -> ChildSpec:
    """It ends after web, which may spool until its end. However often it dies, serving goes on, and it is started
    again: what is answered waits in the spool."""
    return ChildSpec(
        name="cleanup",
        module="server.cleanup.process",
        settings=settings.model_dump_json().encode(),
        drain_order=2,
        policy=RestartPolicy(pause_s=1.0, crashes=sys.maxsize, within_s=1.0, fatal=frozenset({_CLEANUP_GAVE_UP})),
    )


def _consumer(settings: Settings, engine: Path | None = None) -> ChildSpec:
    """`engine`: the socket of web's. It ends with web: its messages are put back as soon as the engine takes none."""
    return ChildSpec(
        name="consumer",
        module="server.consume.process",
        settings=settings.model_dump_json().encode(),
        arguments=(str(engine),) if engine else (),
        policy=RestartPolicy(pause_s=1.0, crashes=sys.maxsize, within_s=1.0, fatal=frozenset({_CONSUMER_GAVE_UP})),
    )


class Supervisor:
    """Runs children until a signal comes or one of them is given up; then ends them all, in their order.

    Its whole state: `_stop` and `_delay_s`, set by the first signal. Each child has its own.
    """

    def __init__(self, specs: Sequence[ChildSpec], settings: Settings, listeners: Sequence[socket.socket]) -> None:
        self._children = [Child(spec) for spec in sorted(specs, key=lambda spec: spec.drain_order)]
        self._settings = settings
        self._listeners = listeners
        self._stop = asyncio.Event()
        self._delay_s = 0.0

    async def run(self) -> int:
        """Run all children; the exit code: `EXIT_OK` if all of them drained in time and ended with 0."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._on_signal, self._settings.server.drain_delay)
        loop.add_signal_handler(signal.SIGINT, self._on_signal, 0.0)
        if signals.held():  # told to end before anything has begun
            return EXIT_OK
        signals.release()
        async with asyncio.TaskGroup() as tasks:
            keepers = {child: tasks.create_task(child.keep(), name=child.spec.name) for child in self._children}
            given_up = await self._first_given_up(keepers.values())
            in_time = await self._drain(keepers)
        return exit_code([child.code for child in self._children]) if in_time and not given_up else EXIT_FAILED

    def _on_signal(self, delay_s: float) -> None:
        """The first signal starts the drain; a second one cuts it short."""
        if not self._stop.is_set():
            log.info("draining", seconds=delay_s)
            systemd.notify("STOPPING=1")
            self._delay_s = delay_s
            self._stop.set()
        else:
            log.info("drain_cut_short")
            for child in self._children:
                child.hurry()

    async def _first_given_up(self, keepers: Collection[asyncio.Task[GiveUp | None]]) -> bool:
        """Wait until a child is given up (True) or the server is to stop (False)."""
        stop = asyncio.ensure_future(self._stop.wait())
        done, _ = await asyncio.wait((stop, *keepers), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        reasons = [given_up.reason for keeper in keepers if keeper in done and (given_up := keeper.result())]
        for reason in filter(None, reasons):
            log.error("giving_up", reason=reason)
        return bool(reasons)

    async def _drain(self, keepers: Mapping[Child, asyncio.Task[GiveUp | None]]) -> bool:
        """Drain all children in their order; kill what is left at the time limit, and then say False."""
        for listener in self._listeners:
            listener.close()  # web holds the socket as well: the port closes when web closes it
        deadline = time.monotonic() + self._settings.server.shutdown_timeout
        for _, group in groupby(self._children, key=lambda child: child.spec.drain_order):
            ending = list(group)
            for child in ending:
                child.drain(self._delay_s)
            left_s = max(0.0, deadline - time.monotonic())
            if (await asyncio.wait([keepers[child] for child in ending], timeout=left_s))[1]:
                for child in self._children:
                    child.kill()
                log.error(
                    "shutdown_timeout",
                    seconds=self._settings.server.shutdown_timeout,
                    reason="not everything had ended",
                )
                return False
            self._delay_s = 0.0  # it is the load balancer's time to notice, and has passed
        return True


def exit_code(codes: Iterable[int | None]) -> int:
    """The server's, for those of its children; None is one that ended between two lives."""
    return EXIT_FAILED if any(codes) else EXIT_OK
