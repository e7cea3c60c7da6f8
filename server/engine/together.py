"""One image for several models: decoded once for all that prepare images alike, answered by each, by one deadline.

The first model of such a group decodes the image, and its worker sends it back as the input takes it. The others are
given that. Where the first answers without decoding, from a cache for instance, the next one is given the image.
"""

import asyncio
from collections.abc import Hashable, Sequence
from typing import NamedTuple, TypeVar

from server.contract.answer import Reply
from server.contract.owner import Owner
from server.contract.task import ImageTask, Reuse, Task, TensorTask
from server.engine.groups import leaves
from server.engine.lane import Lane
from server.engine.submission import Submission

K = TypeVar("K", bound=Hashable)


class Image(NamedTuple):
    """An image to be answered, and on which terms."""

    task: ImageTask
    deadline: float
    urgency: int
    reuse: Reuse
    owner: Owner


class Together:
    """Its state: how many images were spared their decoding."""

    def __init__(self) -> None:
        self.shared = 0

    async def submit(self, image: Image, lanes: Sequence[Lane]) -> list[Reply]:
        """The reply of each lane, in order. Raises what the first of them raises that fails; the others are taken back.

        Cancellation: all are taken back.
        """
        groups = alike([_prepares(lane) for lane in lanes])
        try:
            async with asyncio.TaskGroup() as tasks:
                begun = [tasks.create_task(self._group(image, [lanes[number] for number in group])) for group in groups]
        except BaseExceptionGroup as error:
            raise leaves(error)[0] from None
        replies = {
            number: reply
            for group, task in zip(groups, begun, strict=True)
            for number, reply in zip(group, task.result(), strict=True)
        }
        return [replies[number] for number in range(len(lanes))]

    async def _group(self, image: Image, lanes: Sequence[Lane]) -> list[Reply]:
        """The replies of lanes that prepare images alike."""
        first, *others = lanes
        if not others:
            return [await _submit(first, image.task, image, image.reuse)]
        prepared: asyncio.Future[TensorTask] = asyncio.get_running_loop().create_future()

        def on_prepared(data: bytes, dtype: str, shape: tuple[int, ...]) -> None:
            if not prepared.done():
                prepared.set_result(TensorTask(data, dtype, shape, "answer"))

        async with asyncio.TaskGroup() as tasks:
            task = image.task._replace(on_prepared=on_prepared)
            leading = tasks.create_task(_submit(first, task, image, image.reuse))
            await asyncio.wait((leading, prepared), return_when=asyncio.FIRST_COMPLETED)
            if not prepared.done():
                return [await leading, *await self._group(image, others)]
            self.shared += len(others)
            following = [tasks.create_task(_submit(lane, prepared.result(), image, "never")) for lane in others]
        return [leading.result(), *(one.result() for one in following)]


async def _submit(lane: Lane, task: Task, image: Image, reuse: Reuse) -> Reply:
    return await lane.first.submit(Submission(task, image.deadline, image.urgency, reuse, image.owner))


def _prepares(lane: Lane) -> str:
    """How a lane prepares images; its own way, while it is not known."""
    metadata = lane.metadata
    return metadata.prepares if metadata else repr(lane)


def alike(keys: Sequence[K]) -> list[list[int]]:
    """The places that have the same key, in the order of the first of each."""
    groups: dict[K, list[int]] = {}
    for number, key in enumerate(keys):
        groups.setdefault(key, []).append(number)
    return list(groups.values())
