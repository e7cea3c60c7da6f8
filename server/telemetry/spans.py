"""From the record of a request to the spans of its trace. Pure.

    POST /v1/images          from the request's head to its response; /v2/models/{model}/infer and calls of gRPC as well
      upload                 to the last byte of its body
      admit                  its header is read, and the queue takes it
      queue                  it waits for a worker
      decode
      infer                  the model runs its batch; linked to the batch; of several images, these are the first one's
      store                  made by the clean-up process

    batch                    a trace of its own, linked to the `infer` of each member that is traced

Ids follow from what the members know, so that nobody has to be asked: those of a batch from its model and time, those
of a child from its parent and place.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from server.telemetry.record import RequestRecord
from server.telemetry.trace_context import TraceContext

STAGES: Final = ("upload", "admit", "queue", "decode", "infer")
_GOLDEN: Final = 0x9E3779B97F4A7C15  # odd, so that multiples of it differ in 64 bits
_MASK: Final = (1 << 64) - 1

Attributes = dict[str, str | int | float | bool]


class Link(NamedTuple):
    """Another span that this one has to do with."""

    trace_id: bytes
    span_id: bytes


class Span(NamedTuple):
    """One span, as OTLP has it. Times are nanoseconds since 1970."""

    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    start_ns: int
    end_ns: int
    attributes: Attributes
    links: Sequence[Link] = ()
    error: str = ""
    server: bool = False
    """Whether it answers a request of another process."""
    state: str = ""


class Batch(NamedTuple):
    """One run of a model, as each of its members knows it."""

    model: str
    version: str
    begun: float
    seconds: float
    size: int

    @property
    def link(self) -> Link:
        """The ids of its span."""
        text = f"{self.model}\0{self.version}\0{self.begun!r}\0{self.seconds!r}"
        digest = hashlib.blake2b(text.encode(), digest_size=24).digest()
        return Link(digest[:16], digest[16:])


class Traced(NamedTuple):
    """The spans of one request, and the batch it ran in."""

    spans: list[Span]
    batch: Batch | None = None
    member: Link | None = None
    """Its `infer` span."""


def child_id(span_id: str, place: int) -> bytes:
    """The id of the child at a place, from 1 on."""
    return ((int(span_id, 16) ^ place * _GOLDEN) & _MASK or 1).to_bytes(8, "big")


def traced(record: RequestRecord, wall_ns: int) -> Traced:
    """The spans of a request. `wall_ns`: nanoseconds since 1970 at 0 of CLOCK_MONOTONIC."""
    context = record.trace
    assert context
    trace_id, root_id = bytes.fromhex(context.trace_id), bytes.fromhex(context.span_id)
    batch = _batch(record)
    spans = [_root(record, context, trace_id, root_id, wall_ns)]
    member = None
    for name, begun, ended in _stages(record):
        links: Sequence[Link] = ()
        span_id = child_id(context.span_id, STAGES.index(name) + 1)
        attributes: Attributes = {}
        if name == "infer" and batch:
            member, links = Link(trace_id, span_id), (batch.link,)
            attributes = {"tureen.batch.size": batch.size}
        start, end = wall_ns + int(begun * 1e9), wall_ns + int(max(begun, ended) * 1e9)
        spans.append(Span(name, trace_id, span_id, root_id, start, end, attributes, links))
    return Traced(spans, batch if member else None, member)


def batch_span(batch: Batch, members: Sequence[Link], wall_ns: int) -> Span:
    """The span of a batch, linked to those of its members that are traced."""
    trace_id, span_id = batch.link
    start, end = wall_ns + int(batch.begun * 1e9), wall_ns + int((batch.begun + batch.seconds) * 1e9)
    attributes: Attributes = {
        "tureen.model.name": batch.model, "tureen.model.version": batch.version, "tureen.batch.size": batch.size,
    }  # fmt: skip
    return Span("batch", trace_id, span_id, b"", start, end, attributes, members)


def _root(record: RequestRecord, context: TraceContext, trace_id: bytes, root_id: bytes, wall_ns: int) -> Span:
    start, end = wall_ns + int(record.received * 1e9), wall_ns + int(record.ended * 1e9)
    parent = bytes.fromhex(context.parent_id)
    error = record.code if record.status >= 500 or record.status == 0 else ""
    name = record.route[1:] if record.by_grpc else f"POST {record.route}"
    return Span(
        name, trace_id, root_id, parent, start, end, _attributes(record), (), error, True,
        context.state,
    )  # fmt: skip


def _attributes(record: RequestRecord) -> Attributes:
    """By the semantic conventions of HTTP or RPC where they have a name; the others are Tureen's own."""
    progress = record.progress
    found: Attributes = {
        **(_of_call(record) if record.by_grpc else _of_http(record)),
        "tureen.request.id": record.request_id, "tureen.outcome": record.code, "tureen.urgency": progress.urgency,
    }  # fmt: skip
    if record.code != "ok":
        found["error.type"] = record.code
    if progress.size and not record.by_grpc:
        found["http.request.body.size"] = progress.size
    if progress.header:
        found |= {"tureen.image.format": progress.header.format, "tureen.image.pixels": progress.header.pixels}
    if answer := progress.answer:
        found |= {
            "tureen.image.id": answer.id, "tureen.image.hash": answer.hash, "tureen.model.name": answer.model.name,
            "tureen.model.version": answer.model.version, "tureen.source": answer.reply.source,
            **({"tureen.arm": answer.arm} if answer.arm else {}),
            **({"tureen.images": 1 + len(progress.also)} if progress.also else {}),
        }  # fmt: skip
    return found


def _of_http(record: RequestRecord) -> Attributes:
    status: Attributes = {"http.response.status_code": record.status} if record.status else {}
    return {"http.request.method": "POST", "http.route": record.route, "url.path": record.route, **status}


def _of_call(record: RequestRecord) -> Attributes:
    service, _, method = record.route[1:].partition("/")
    return {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}


def _stages(record: RequestRecord) -> Iterable[tuple[str, float, float]]:
    """The stages that it came to, each with begin and end: the last one, of a request that failed, ends with it."""
    progress = record.progress
    if not progress.uploaded:
        yield "upload", record.received, record.ended
        return
    yield "upload", record.received, progress.uploaded
    answer = progress.answer
    if answer is None:
        yield "admit" if record.status < 504 else "queue", progress.uploaded, record.ended
        return
    reply, queued = answer.reply, answer.queued or progress.uploaded
    yield "admit", progress.uploaded, queued
    if reply.source == "cache":
        return
    yield "queue", queued, max(queued, reply.begun)
    yield "decode", reply.begun, reply.begun + reply.decode_s
    begun = reply.run_begun or reply.begun + reply.decode_s
    yield "infer", begun, begun + reply.infer_s


def _batch(record: RequestRecord) -> Batch | None:
    answer = record.progress.answer
    if answer is None or not answer.reply.run_begun:
        return None
    reply = answer.reply
    return Batch(answer.model.name, answer.model.version, reply.run_begun, reply.infer_s, reply.batch)
