"""What clients did and what came of it, written down as it happens. Judged afterwards, in `checker`."""

import hashlib
import json
import time
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

LOST = 0  # in the place of a status: no HTTP answer came
LEFT = -1  # the client did not wait for one


@dataclass(slots=True)
class Ending:
    """One thing that came of an operation."""

    at: float
    status: int  # of HTTP, or LOST, or LEFT
    body: bytes = b""
    retry_after: str = ""
    why: str = ""  # it was lost

    def json(self) -> dict:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """What is counted in `tureen_requests_total`: ok, or the problem's code."""
        if self.status == 200:
            return "ok"
        return self.json().get("code", "") if self.body.startswith(b"{") else ""


@dataclass(slots=True)
class Operation:
    """One request of one client. Times in seconds of the monotonic clock; `due` is None where nothing is promised."""

    id: int
    picture: int  # which of the good pictures it sent; below 0 for what is none of them
    digest: bytes  # of the bytes sent
    kind: str  # of client
    sent: float
    due: float | None
    endings: list[Ending] = field(default_factory=list)

    def answered(self, reply) -> None:
        """An HTTP response came."""
        after = reply.headers.get("retry-after", "")
        self.endings.append(Ending(time.monotonic(), reply.status, reply.body, after))

    def lost(self, why: str) -> None:
        """The connection ended instead."""
        self.endings.append(Ending(time.monotonic(), LOST, why=why))

    def left(self) -> None:
        """The client closes its connection, on purpose."""
        self.endings.append(Ending(time.monotonic(), LEFT))


@dataclass(slots=True)
class Fault:
    """What a nemesis did, and what it explains: statuses, and LOST, of operations under way meanwhile."""

    name: str
    begun: float
    explains: frozenset[int]
    ended: float = float("inf")

    def covers(self, operation: Operation) -> bool:
        """Whether the operation was under way during any part of it."""
        last = operation.endings[-1].at if operation.endings else float("inf")
        return operation.sent <= self.ended and self.begun <= last


class History:
    """All operations and all faults of one run."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.faults: list[Fault] = []

    def begin(self, picture: int, body: bytes, due_s: float | None = None, kind: str = "good") -> Operation:
        """A client sends now; `due_s`: seconds from now by which it must have its answer."""
        now = time.monotonic()
        digest = hashlib.blake2b(body, digest_size=16).digest()
        due = None if due_s is None else now + due_s
        operation = Operation(len(self.operations), picture, digest, kind, now, due)
        self.operations.append(operation)
        return operation

    @contextmanager
    def fault(self, name: str, explains: Iterable[int] = ()):
        """A fault lasts as long as this is entered."""
        fault = Fault(name, time.monotonic(), frozenset(explains))
        self.faults.append(fault)
        try:
            yield fault
        finally:
            fault.ended = time.monotonic()


@dataclass(frozen=True)
class Pictures:
    """Good pictures whose answers all differ, and what each answer must be: `agrees(picture, answer)`."""

    bodies: list[bytes]
    reference: object
    within: float = 1e-4

    @cached_property
    def scores(self) -> list[dict[str, float]]:
        """Label -> score, of each."""
        return [self.reference.scores(body) for body in self.bodies]

    @cached_property
    def digests(self) -> list[bytes]:
        """Of the bytes of each."""
        return [hashlib.blake2b(body, digest_size=16).digest() for body in self.bodies]

    def agrees(self, picture: int, answer: dict) -> bool:
        """Whether this is the picture's answer: its scores, best first."""
        expected, got = self.scores[picture], answer["predictions"]
        best = sorted(expected.values(), reverse=True)[: len(got)]
        return bool(got) and all(
            abs(one["score"] - expected[one["label"]]) <= self.within and abs(one["score"] - top) <= self.within
            for one, top in zip(got, best, strict=True)
        )

    def alike(self) -> list[tuple[int, int]]:
        """Pairs whose answers could be taken for each other: there must be none, or a swap is not seen."""
        count = range(len(self.bodies))
        return [(a, b) for a in count for b in count if a < b and self._near(self.scores[a], self.scores[b])]

    def _near(self, one: dict[str, float], other: dict[str, float]) -> bool:
        return all(abs(score - other[label]) <= 2 * self.within for label, score in one.items())
