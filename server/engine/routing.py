"""Which version of a model answers a request: one pure function, which a rollout replaces by its own."""

from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

from preprocess.header import Header
from server.contract.answer import Reply
from server.repository.state import ModelState


class Asked(NamedTuple):
    """What a request asks for."""

    model: str
    """The model's name, never empty."""
    version: str
    """Empty: the router decides."""
    key: Callable[[], str]
    """What an assignment sticks to: the client's key, its account, or the content's hash. Call it only if needed."""


class Route(NamedTuple):
    """Where a request goes."""

    version: str
    shadows: tuple[str, ...] = ()
    """Versions that run it, too, once it is answered: at the lowest urgency, and not at all if they are busy."""
    arm: str = ""
    """What this assignment is called: it goes into the record and to observers."""
    unit: str = ""
    """Who was assigned, without their key: it goes into the record."""
    fallback: str = ""
    """The version that answers where this one fails of its own, or refuses; empty: none."""


class Router(Protocol):
    """Decides without waiting and without I/O."""

    def __call__(self, asked: Asked, state: ModelState, ready: Collection[str], /) -> Route:
        """`ready`: the versions that can answer. Another one is answered 404, or 503 while it is loaded."""


def by_default(asked: Asked, state: ModelState, ready: Collection[str]) -> Route:
    """The version that is asked for, else the default."""
    return Route(asked.version or state.default)


class Observed(NamedTuple):
    """How one version did with one request. Times in seconds from submission."""

    model: str
    version: str
    arm: str
    shadow: bool
    id: str
    """Of the answer; empty if there was none."""
    digest: str
    """Of the content; empty if nothing needed it."""
    latency_s: float
    due_s: float
    """What it was allowed."""
    error: str
    """The error's class; empty if it was answered."""
    detail: str
    """What the error says."""
    reply: Reply | None
    header: Header | None
    """Of the image."""


class Observer(Protocol):
    """Told what versions did. Its methods return at once."""

    def observed(self, one: Observed, /) -> None:
        """A request has ended."""

    def compared(self, primary: Observed, shadow: Observed, /) -> None:
        """A shadow has run what was answered before."""


class Unobserved:
    """An observer that looks away."""

    def observed(self, one: Observed, /) -> None:
        """As `Observer.observed`."""

    def compared(self, primary: Observed, shadow: Observed, /) -> None:
        """As `Observer.compared`."""
