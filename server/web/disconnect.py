"""A client that leaves takes its work with it. Hypercorn does not cancel a handler; this does."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from server.web.errors import ClientGone

T = TypeVar("T")


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, or `ClientGone` as soon as the client closes; `work` is cancelled then.

    To be used once the body has been read: the next event is then the disconnect.
    Cancellation: cancels `work`.
    """
    here = asyncio.current_task()
    assert here is not None
    watch = asyncio.ensure_future(_disconnected(receive))
    gone = False

    def leave(_: "asyncio.Future[None]") -> None:
        nonlocal gone
        if not watch.cancelled():
            watch.exception()  # whatever it was, there is no client to be heard any more
            gone = True
            here.cancel()

    watch.add_done_callback(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if gone and here.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        watch.remove_done_callback(leave)
        watch.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
