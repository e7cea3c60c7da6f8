"""A task in, an answer out, without HTTP.

    async with Engine(Settings(model=Path("food"))) as engine:
        answer = await engine.submit(ImageTask(body, read_header(body, engine.limits)))

`RemoteEngine` is the same over a Unix socket, to an engine that `serve_engine` offers there.
"""

from server.engine.absent import AbsentEngine
from server.engine.engine import Engine, EngineFailed
from server.engine.intake import Intake, Status
from server.engine.listener import serve_engine
from server.engine.remote import RemoteEngine

__all__ = ["AbsentEngine", "Engine", "EngineFailed", "Intake", "RemoteEngine", "Status", "serve_engine"]
