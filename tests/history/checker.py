"""Whether a history is one that the server may have: pure functions, each gives the violations it finds.

The rules: every operation ends once; a 200 is the answer to that very picture; nothing is lost or late, and no status
is the server's fault, but for what a fault explains; a refusal says when to come back; the server's counters add up
and are those of the clients.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tests.history.operations import LEFT, LOST, Ending, History, Operation, Pictures

GRACE_S = 0.1  # after a deadline: the way to the client
ENDINGS = ("answered", "failed", "expired", "cancelled", "dropped")
OF_GOOD = frozenset({200, 503, 504})  # what a good picture may be answered
OF_ANY = OF_GOOD | {400, 408, 413, 415, 422, 431}  # answers that are nobody's breach of promise
_GAUGES = ("tureen_queue_images", "tureen_running_images", "tureen_held_bytes", "tureen_arriving_bytes")
_AT_BEST_S = 0.1  # no good picture takes longer alone
_SHOWN = 5  # of each kind, when told to people

Counters = Mapping[str, float]


@dataclass(frozen=True)
class Violation:
    """One breach. `rule`: which one, a fixed word; `text`: what was seen."""

    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


def check(history: History, pictures: Pictures, grace_s: float = GRACE_S) -> list[Violation]:
    """All that the history alone shows."""
    return [*endings(history), *losses(history, grace_s), *statuses(history), *answers(history, pictures)]


def endings(history: History) -> list[Violation]:
    """Operations that did not end exactly once."""
    return [
        Violation("one ending", f"{_told(one)} has {[ending.status for ending in one.endings]}")
        for one in history.operations
        if len(one.endings) != 1
    ]


def losses(history: History, grace_s: float = GRACE_S) -> list[Violation]:
    """Operations without an HTTP answer, or with one after deadline and grace."""
    found = []
    for one, ending in _ended(history):
        if ending.status == LOST and not explained(history, one, LOST):
            found.append(Violation("lost", f"{_told(one)}: {ending.why}"))
        elif ending.status > 0 and _late_s(one, ending) > grace_s and not explained(history, one, LOST):
            late_ms = _late_s(one, ending) * 1000
            found.append(Violation("late", f"{_told(one)}: {ending.status}, {late_ms:.0f} ms after its deadline"))
    return found


def statuses(history: History) -> list[Violation]:
    """Answers that are the server's fault and that no fault explains; refusals without a time to come back."""
    found = []
    for one, ending in _ended(history):
        honest = OF_GOOD if one.picture >= 0 else OF_ANY
        honestly = ending.status in honest or is_never(one, ending)
        if ending.status > 0 and not honestly and not explained(history, one, ending.status):
            found.append(Violation("status", f"{_told(one)}: {ending.status} {ending.code}"))
        if ending.status == 503 and not ending.retry_after.isdigit():
            found.append(Violation("retry-after", f"{_told(one)}: {ending.retry_after!r}"))
    return found


def is_never(one: Operation, ending: Ending) -> bool:
    """Whether a client is told that its own deadline is shorter than any such picture takes, and it is."""
    if ending.code != "deadline_unmeetable" or one.due is None:
        return False
    shortest_s: float = ending.json()["shortest_ms"] / 1000
    return one.due - one.sent < shortest_s <= _AT_BEST_S


def answers(history: History, pictures: Pictures) -> list[Violation]:
    """200s that are not the answer to the picture that was sent; pictures that a swap would not show on."""
    found = [Violation("alike", f"pictures {a} and {b} have the same answer") for a, b in pictures.alike()]
    for one, ending in _ended(history):
        if one.picture not in range(len(pictures.bodies)):
            continue
        if one.digest != pictures.digests[one.picture]:
            found.append(Violation("bytes", f"{_told(one)}: sent was something else"))
        elif ending.status == 200 and not pictures.agrees(one.picture, ending.json()):
            found.append(Violation("answer", f"{_told(one)}: not this picture's"))
    return found


def explained(history: History, operation: Operation, status: int) -> bool:
    """Whether a fault that was on meanwhile explains this ending."""
    return any(status in fault.explains and fault.covers(operation) for fault in history.faults)


def at_rest(now: Counters) -> list[Violation]:
    """What is wrong with the counters of a server that has nothing to do: whatever was accepted has ended once."""
    found = [Violation("rest", f"{name} is {now[name]:g}") for name in _GAUGES if now[name]]
    ended = {name: total(now, f"tureen_{name}_images_total") for name in ENDINGS}
    accepted = now["tureen_accepted_images_total"]
    if accepted != sum(ended.values()):
        found.append(Violation("conservation", f"{accepted:g} accepted, but {ended}"))
    return found


def agreement(history: History, before: Counters, after: Counters) -> list[Violation]:
    """Where the server's count of outcomes is not the clients'; of one web process, at rest before and after.

    Each answer that a client has, the server has counted. It may have counted more: for clients that left, or whose
    connection was lost, and for no others.
    """
    seen = Counter(ending.code for _, ending in _ended(history) if ending.status > 0)
    unseen = sum(ending.status in (LEFT, LOST) for _, ending in _ended(history))
    counted = outcomes(after) - outcomes(before)
    found = [
        Violation("agreement", f"clients have {count} {code}, the server counts {counted[code]}")
        for code, count in seen.items()
        if counted[code] < count
    ]
    if (more := (counted - seen).total()) > unseen:
        found.append(Violation("agreement", f"the server counts {more} more than clients saw, {unseen} of whom left"))
    expired = total(after, "tureen_expired_images_total") - total(before, "tureen_expired_images_total")
    if not seen["deadline_exceeded"] <= expired <= seen["deadline_exceeded"] + unseen:
        found.append(Violation("agreement", f"clients have {seen['deadline_exceeded']} 504, the server {expired:g}"))
    return found


def outcomes(counters: Counters) -> Counter[str]:
    """How many uploads ended how."""
    prefix, suffix = 'tureen_requests_total{outcome="', '",resource="images"}'
    return Counter(
        {
            name.removeprefix(prefix).removesuffix(suffix): int(value)
            for name, value in counters.items()
            if name.startswith(prefix) and name.endswith(suffix)
        }
    )


def total(counters: Counters, name: str) -> float:
    """The sum over a metric's labels."""
    return sum(value for each, value in counters.items() if each.partition("{")[0] == name)


def told(violations: list[Violation]) -> str:
    """A few lines for people: how many of each rule, and the first of them."""
    lines = []
    for rule, count in Counter(one.rule for one in violations).items():
        lines.append(f"{rule}: {count}")
        lines += [f"  {one.text}" for one in violations if one.rule == rule][:_SHOWN]
    return "\n".join(lines)


def _ended(history: History) -> list[tuple[Operation, Ending]]:
    return [(one, ending) for one in history.operations for ending in one.endings]


def _late_s(one: Operation, ending: Ending) -> float:
    return 0.0 if one.due is None else ending.at - one.due


def _told(one: Operation) -> str:
    return f"operation {one.id} ({one.kind}, picture {one.picture})"
