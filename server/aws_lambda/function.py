"""The function: an engine and the application before it, on an event loop that runs while there is an event."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol

import uvloop
from starlette.types import ASGIApp

from server.aws_lambda.http_event import is_http, read_request, write_response
from server.engine import Engine
from server.process.cpus import usable_cpus
from server.settings import Settings

if TYPE_CHECKING:
    from server.aws_lambda.messages import Messages

_ANSWER_S = 0.2
"""For the way of an answer out of the function: what is left of its time, less this, is a request's deadline."""
_TAKE_BACK_S = 3.0  # for messages: a call of a store that was begun is waited for

Event = Mapping[str, Any]


class Context(Protocol):
    """What Lambda says about an invocation, as far as it matters here."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""


class Function:
    """One execution environment, which has one invocation at a time. For one thread.

    The whole state: the loop, and in it a task in which the engine lives. Between invocations the loop stands still,
    as the whole environment does when Lambda freezes it.
    """

    def __init__(self, settings: Settings) -> None:
        """Start the worker, and wait until it is ready. Raises `EngineFailed`; whatever is set up wrongly."""
        self._settings = settings
        self._engine = Engine(_laid_out(settings), wait_ready=False)
        self._app: ASGIApp
        self._messages: Messages | None = None
        self._stack = AsyncExitStack()  # of the application and the messages, which are opened when they are needed
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._ending = asyncio.Event()
        self._life = self._runner.run(self._start())

    def __call__(self, event: Event, context: Context) -> Any:  # noqa: ANN401 - whatever the event's sender expects
        """Answer one event. Raises `NotAnswered` for one of S3; `EngineFailed` once the model cannot be served."""
        self._engine.delay.forgive()
        left_s = context.get_remaining_time_in_millis() / 1000
        return self._runner.run(self._answer(event, left_s))

    def close(self) -> None:
        """End the worker."""
        self._runner.run(self._end())
        self._runner.close()

    # -- inside ------------------------------------------------------------------------------------

    async def _start(self) -> asyncio.Task[None]:
        ready = asyncio.get_running_loop().create_future()
        life = asyncio.create_task(self._live(ready))
        await asyncio.wait([life, ready], return_when=asyncio.FIRST_COMPLETED)
        if life.done():
            life.result()
        return life

    async def _live(self, ready: asyncio.Future[None]) -> None:
        async with self._engine, self._stack:
            # CORRECTNESS: imported only now: it takes as long as the worker takes to start, beside it.
            from server.aws_lambda.application import open_application

            self._app = await self._stack.enter_async_context(open_application(self._settings, self._engine))
            await self._engine.wait_ready()
            ready.set_result(None)
            await self._ending.wait()

    async def _end(self) -> None:
        self._ending.set()
        await self._life

    async def _answer(self, event: Event, left_s: float) -> Any:  # noqa: ANN401 - as above
        if self._life.done():  # the engine has failed: say why
            self._life.result()
        if is_http(event):
            return await self._respond(event, left_s - _ANSWER_S)
        return await self._consume(event, left_s - _TAKE_BACK_S)

    async def _respond(self, event: Event, left_s: float) -> Event:
        from server.aws_lambda.asgi import respond, within

        request = read_request(event)
        slo_s = max(lane.slo_s for lane in self._engine.status().lanes)
        headers = within(request.headers, left_s, slo_s)
        return write_response(request.shape, await respond(self._app, request._replace(headers=headers)))

    async def _consume(self, event: Event, left_s: float) -> Event | None:
        """The partial batch response to SQS; None for S3. Raises `NotAnswered`."""
        from server.aws_lambda.messages import of_sqs, open_messages  # with boto3

        if self._messages is None:
            self._messages = await self._stack.enter_async_context(open_messages(self._settings, self._engine))
        if of_sqs(event):
            return await self._messages.answer_batch(event, left_s)
        await self._messages.answer_one(event, left_s)
        return None


def _laid_out(settings: Settings) -> Settings:
    """One worker with all CPUs, unless the settings say otherwise: one image at a time needs no second one, and what is
    not looked for (a GPU, the best layout) starts sooner."""
    given = settings.worker
    layout = {"workers": given.workers or 1, "threads": given.threads or usable_cpus()}
    provider = "cpu" if settings.provider == "auto" else settings.provider
    return settings.model_copy(update={"provider": provider, "worker": given.model_copy(update=layout)})
