"""A process of ours that answers each line of JSON with one, and ends with its input.

So nothing is left behind, however the parent ends. A child stands in a session of its own: Ctrl-C in a
terminal is for the parent, which then ends its children.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

_END_S = 10.0  # a hang guard

Message = dict[str, Any]


class ChildDied(Exception):
    """The process ended instead of answering; it has said why on standard error."""


class Child:
    """`python -m MODULE ARGS...`, running; a context manager that ends it."""

    def __init__(self, module: str, args: Sequence[str] = ()) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(_END_S)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            try:
                pipe.close()
            except BrokenPipeError:  # of what had not been written yet
                pass

    def ask(self, **message: object) -> Message:
        """Send `message`; its answer."""
        self.send(**message)
        return self.answer()

    def send(self, **message: object) -> None:
        """Send `message`, whose `answer` is to be read later."""
        assert self._process.stdin
        try:
            print(json.dumps(message), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            pass  # `answer` will say so

    def answer(self) -> Message:
        """Read the next answer. Raises `ChildDied`."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ChildDied(f"{self._module} ended with exit code {self._process.wait(_END_S)}")
        answer: Message = json.loads(line)
        return answer


def answer_each(answer: Callable[..., Message], first: Message) -> None:
    """The child's side: say `first`, then call `answer` with the members of each line that comes."""
    print(json.dumps(first), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), flush=True)
