"""What both baselines start with: a free port, the model's path for every process, the line that says "ready"."""

from __future__ import annotations

import os
import socket
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

_PATIENCE_S = 60  # with a process that loads its model, or is overloaded: it must not be replaced for that
_MODEL, _ADDRESS = "BASELINE_MODEL", "BASELINE_ADDRESS"


def serve(app: str, model: str, workers: int) -> None:
    """Run `app`, a factory, in `workers` processes until SIGTERM."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        host, port = free.getsockname()
    os.environ |= {_MODEL: model, _ADDRESS: f"http://{host}:{port}"}
    uvicorn.run(
        app,
        factory=True,
        host=host,
        port=port,
        workers=workers,
        access_log=False,
        log_level="warning",
        timeout_worker_healthcheck=_PATIENCE_S,
    )


def model_path() -> Path:
    return Path(os.environ[_MODEL])


@asynccontextmanager
async def announced(app: FastAPI):
    """A lifespan that says where this process serves; a connection made before that waits in the backlog."""
    print(f"  address   {os.environ[_ADDRESS]}", flush=True)
    yield
