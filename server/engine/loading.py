"""The steps by which a version comes to take traffic. Each may fail; then nothing has changed for anybody.

1. `files`: it is there, and its files are those of `SHA256SUMS`.
2. `open`: fresh processes open it and warm it up.
3. `contract`: it takes what the version before takes, and gives what that gives.
4. `warm-up`: it answers as many images as its card asks for.
5. `golden`: it gives the answers that are expected of it.
"""

from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
import msgspec

from batcher import BatcherError
from batcher.policy import LEAST_URGENT
from preprocess.errors import ImageError
from preprocess.header import read_header
from preprocess.limits import Limits
from server.contract.errors import TaskError
from server.contract.metadata import ModelMetadata
from server.contract.task import ImageTask
from server.engine.lane import Lane
from server.engine.submission import Submission
from server.repository.errors import RepositoryError
from server.repository.golden import Golden, difference, pictures, read_golden, read_image

Step = Literal["files", "open", "contract", "warm-up", "golden"]

_LOOK_S = 0.02
_ANSWER_S = 60.0  # for one image of a check: slow is no reason to refuse a version


class LoadFailed(RepositoryError):
    """A version did not come to take traffic. `step`: where it failed; the message says why."""

    def __init__(self, step: Step, reason: str) -> None:
        super().__init__(reason)
        self.step = step


async def until_whole(lane: Lane, patience_s: float) -> ModelMetadata:
    """Wait until all workers of a lane are ready. Raises `LoadFailed`. Cancellation: stops waiting."""
    with anyio.move_on_after(patience_s):
        while not (lane.failure or lane.over.is_set() or (lane.whole and lane.metadata)):  # noqa: ASYNC110 - no one event says it all
            await anyio.sleep(_LOOK_S)
    if lane.failure or not lane.whole or (metadata := lane.metadata) is None:
        raise LoadFailed("open", lane.failure or f"its workers were not ready within {patience_s:g} s")
    return metadata


def check_contract(before: ModelMetadata, after: ModelMetadata) -> None:
    """Raises `LoadFailed` where clients of the version before would be answered otherwise in kind."""
    for what in ("inputs", "outputs"):
        old, new = getattr(before, what), getattr(after, what)
        if [(one.dtype, one.shape) for one in old] != [(one.dtype, one.shape) for one in new]:
            words = [", ".join(map(str, tensors)) for tensors in (old, new)]
            raise LoadFailed(
                "contract", f"its {what} are {words[1]}; version {before.version} has {words[0]}. `force` allows it"
            )


async def warm_up(lane: Lane, count: int, model: Path, limits: Limits) -> None:
    """Have it answer so many images: the golden ones in turn. Raises `LoadFailed`."""
    files = await anyio.to_thread.run_sync(pictures, model)
    if not count:
        return
    if not files:
        raise LoadFailed("warm-up", f"warm_up = {count}: there are no images in {model / 'golden'}")
    for number in range(count):
        try:
            await _members(lane, model, files[number % len(files)].name, limits)
        except (RepositoryError, ImageError, TaskError, BatcherError) as error:
            raise LoadFailed("warm-up", str(error)) from error


async def check_golden(lane: Lane, model: Path, limits: Limits) -> int:
    """Compare its answers to the golden images with what is expected; how many there are. Raises `LoadFailed`."""
    golden: Golden | None = await anyio.to_thread.run_sync(read_golden, model, lane.spec.version)
    if golden is None:
        return 0
    for name, expected in golden.images.items():
        try:
            got = await _members(lane, model, name, limits)
        except (RepositoryError, ImageError, TaskError, BatcherError) as error:
            raise LoadFailed("golden", f"{name}: {str(error) or type(error).__name__}") from error
        if found := difference(expected, got, golden.tolerance):
            raise LoadFailed("golden", f"{name}: {found}")
    return len(golden.images)


async def _members(lane: Lane, model: Path, name: str, limits: Limits) -> dict[str, Any]:
    """What the lane answers to a golden image, decoded; never from a cache. Raises what `Stage.submit` raises."""
    body = await anyio.to_thread.run_sync(read_image, model, name)
    task = ImageTask(body, read_header(body, limits), model=lane.spec.name, version=lane.spec.version)
    reply = await lane.first.submit(Submission(task, lane.now() + _ANSWER_S, LEAST_URGENT, "never"))
    return msgspec.json.decode(b"{%b}" % reply.members, type=dict[str, Any])
