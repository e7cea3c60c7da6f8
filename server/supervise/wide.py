"""The children of a server with several web processes: fronts, and the engine's process that they feed.

Fronts accept on the one listening socket. The supervisor owns the socket for what they pass on, too, and the numbers
that they share: both outlive any process.
"""

import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from server.process.board import make_board
from server.settings import Settings
from server.supervise.child import ChildSpec
from server.supervise.restarts import RestartPolicy

ENGINE_SOCKET: Final = "engine.sock"
_HTTP_SOCKET: Final = "http.sock"
_BACKLOG: Final = 2048
_GAVE_UP: Final = 3  # server.web.process.EXIT_FATAL: it has said why on standard error


def widened(
    stack: ExitStack, settings: Settings, listeners: Sequence[socket.socket], folder: Path, web: ChildSpec
) -> list[ChildSpec]:
    """What serves in place of `web`. `listeners`: for clients, and for admins if that is another one. `folder`: for the
    sockets between them. `stack` closes what they inherit.

    They end in the order of what they need: fronts, the engine, and then whatever ends after web.
    """
    board = make_board(1 + settings.server.web)
    stack.callback(os.close, board)
    passed_on = stack.enter_context(socket.socket(socket.AF_UNIX))
    passed_on.bind(str(folder / _HTTP_SOCKET))
    passed_on.listen(_BACKLOG)
    clients, *admins = (listener.fileno() for listener in listeners)
    inherited = (passed_on.fileno(), *admins)
    engine = replace(
        web,
        name="engine",
        arguments=(str(folder / ENGINE_SOCKET), str(board), *map(str, inherited)),
        descriptors=(board, *inherited),
        drain_order=1,
    )
    fronts = [
        ChildSpec(
            name="web",
            module="server.web.front_process",
            settings=web.settings,
            arguments=(str(folder), str(board), str(row), str(clients)),
            descriptors=(board, clients),
            policy=RestartPolicy(fatal=frozenset({_GAVE_UP})),
        )
        for row in range(1, 1 + settings.server.web)
    ]
    return [*fronts, engine]
