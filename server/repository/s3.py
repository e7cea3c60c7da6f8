"""A repository in S3: its models copied down to a folder, its states by conditional writes. All of it is done by a
process of its own (server/repository/s3_agent.py). Blocking: call it in a thread."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from threading import Lock
from typing import Any, Self

from server.repository.errors import Conflict, StoreFailed
from server.repository.state import ModelState, dump, parse
from server.repository.store import STATE_FILE, Stored


def copy_of(url: str, base: Path) -> Path:
    """Where the copy of a repository is kept, so that the next start need not copy it again."""
    return base / f"models-{re.sub(r'[^A-Za-z0-9._-]+', '-', url.removeprefix('s3://'))[:80]}"


class S3Repository:
    """A `StateStore`, and the copy of its models in `folder`. A context manager. Thread-safe.

    The whole state: the agent's process, started anew when it has died.
    """

    def __init__(self, url: str, folder: Path, endpoint: str = "") -> None:
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self.folder = folder
        self._arguments = [bucket, prefix, str(folder), *([endpoint] if endpoint else [])]
        self._url = url
        self._agent: subprocess.Popen[str] | None = None
        self._lock = Lock()

    def sync(self) -> int:
        """Copy down what has changed; how many files. Raises `StoreFailed`."""
        copied: int = self._ask({"op": "sync"})["copied"]
        return copied

    def read(self, name: str) -> Stored:
        """As `StateStore.read`."""
        found = self._ask({"op": "read", "name": name})
        if not found["tag"]:
            return Stored(ModelState(), "")
        return Stored(parse(base64.b64decode(found["data"]), f"{self._url}/{name}/{STATE_FILE}"), found["tag"])

    def write(self, name: str, state: ModelState, tag: str) -> str:
        """As `StateStore.write`."""
        data = base64.b64encode(dump(state)).decode()
        found = self._ask({"op": "write", "name": name, "data": data, "tag": tag})
        if found.get("conflict"):
            raise Conflict(f"the state of {name} has been changed meanwhile")
        written: str = found["tag"]
        return written

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._agent:
                self._agent.kill()  # whatever it does is done by temporary names
                self._forget(self._agent)

    def _ask(self, request: dict[str, str]) -> dict[str, Any]:
        with self._lock:
            agent = self._running()
            assert agent.stdin
            assert agent.stdout
            try:
                agent.stdin.write(json.dumps(request) + "\n")
                agent.stdin.flush()
                line = agent.stdout.readline()
            except OSError:
                line = ""
        if not line:
            raise StoreFailed(f"{self._url}: its agent has died")
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise StoreFailed(f"{self._url}: {found['error']}")
        return found

    def _forget(self, agent: subprocess.Popen[str]) -> None:
        with agent:  # closes its pipes and waits for it
            self._agent = None

    def _running(self) -> subprocess.Popen[str]:
        if self._agent and self._agent.poll() is not None:
            self._forget(self._agent)
        if self._agent is None:
            self._agent = subprocess.Popen(
                [sys.executable, "-P", "-m", "server.repository.s3_agent", *self._arguments],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        return self._agent
