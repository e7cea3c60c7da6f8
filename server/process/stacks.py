"""Where this process spends its time: stacks sampled by a thread, and a dump of what every thread and task does now.

Both name code only: no variable, no argument, nothing of a request.
"""

import asyncio
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import PurePath
from types import FrameType
from typing import Final

PERIOD_S: Final = 0.01
_MOST_STACKS = 5_000
_DEEPEST = 100  # frames; of a deeper stack the innermost count
_MOST_TASKS = 100
_OTHERS = "(other stacks)"


def sample(seconds: float, ended: Callable[[], bool], period_s: float = PERIOD_S) -> str:
    """Sample the stacks of all other threads for so long, or until `ended()`. Blocks.

    One line per stack, as flame graph tools read it: thread and frames from the outermost, joined by `;`, then a space
    and how many samples had it.
    """
    counts: Counter[str] = Counter()
    own, deadline = threading.get_ident(), time.monotonic() + seconds
    while time.monotonic() < deadline and not ended():
        time.sleep(period_s)
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        for ident, frame in sys._current_frames().items():
            if ident != own:
                stack = f"{_clean(names.get(ident, 'thread'))};{_folded(frame)}"
                counts[stack if stack in counts or len(counts) < _MOST_STACKS else _OTHERS] += 1
    return "".join(f"{stack} {count}\n" for stack, count in counts.most_common())


def dump(loop: asyncio.AbstractEventLoop) -> str:
    """What every thread and the first hundred tasks of `loop` do now. For that loop's own thread."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = []
    for ident, frame in sys._current_frames().items():
        parts += [f"thread {names.get(ident, ident)}\n", *map(_place, _frames(frame)), "\n"]
    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    parts.append(f"{len(tasks)} tasks\n\n")
    for task in tasks[:_MOST_TASKS]:
        parts += [f"task {task.get_name()}\n", *map(_place, task.get_stack(limit=_DEEPEST)), "\n"]
    return "".join(parts)


def _place(frame: FrameType) -> str:
    return f"  {_file(frame.f_code.co_filename)}:{frame.f_lineno} {frame.f_code.co_qualname}\n"


def _frames(frame: FrameType | None) -> list[FrameType]:
    """The innermost ones, from the outermost of them."""
    found: list[FrameType] = []
    while frame and len(found) < _DEEPEST:
        found.append(frame)
        frame = frame.f_back
    return found[::-1]


def _folded(frame: FrameType) -> str:
    codes = (one.f_code for one in _frames(frame))
    return ";".join(_clean(f"{_file(code.co_filename)}:{code.co_qualname}") for code in codes)


def _file(path: str) -> str:
    """Its last two parts: enough to know it, and nothing of how the host is laid out."""
    return "/".join(PurePath(path).parts[-2:])


def _clean(name: str) -> str:
    """`;` and spaces separate."""
    return name.replace(";", ",").replace(" ", "_")
