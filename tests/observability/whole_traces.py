"""What is wrong with the traces of images that were sent: nothing, where each is one whole trace."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ROOT = "POST /v1/images"
STAGES = ("upload", "admit", "queue", "decode", "infer", "store")

Traces = Mapping[str, Sequence[Any]]
"""Spans by trace id, hex."""


def parent(number: int, flags: str = "01") -> str:
    """The traceparent of a client's span; trace id and span id are this number, which is at least 1."""
    return f"00-{number:032x}-{number:016x}-{flags}"


def breaches(traces: Traces, numbers: Sequence[int]) -> list[str]:
    """Whatever is missing, twice or astray. `numbers`: those whose `parent` was sent with an image."""
    batches = {span.span_id: span for spans in traces.values() for span in spans if span.name == "batch"}
    asked = {f"{number:032x}" for number in numbers}
    found = [breach for number in numbers for breach in _of_one(number, traces.get(f"{number:032x}", ()), batches)]
    for trace, spans in traces.items():
        if trace not in asked:
            found += [f"{trace}: {span.name} belongs to no request" for span in spans if span.name != "batch"]
    members = sum(len(span.links) for span in batches.values())
    if members != len(numbers):
        found.append(f"batches link to {members} requests")
    return found


def _of_one(number: int, spans: Sequence[Any], batches: Mapping[bytes, Any]) -> Iterator[str]:
    names = sorted(span.name for span in spans)
    if names != sorted((ROOT, *STAGES)):
        yield f"{number}: {names}"
        return
    (root,) = (span for span in spans if span.name == ROOT)
    if root.parent_span_id != number.to_bytes(8, "big"):
        yield f"{number}: the root does not continue its caller's span"
    for span in spans:
        if span is not root and span.parent_span_id != root.span_id:
            yield f"{number}: {span.name} is an orphan"
        if span.name == "infer":
            back = [link.span_id for one in span.links if one.span_id in batches for link in batches[one.span_id].links]
            if len(span.links) != 1 or span.span_id not in back:
                yield f"{number}: infer is not linked with its batch"
