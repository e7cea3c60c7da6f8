"""One answer as a document of the Elastic Common Schema, and Tureen's own members below `tureen`. Pure.

There is no image in it and nothing of a client: no address, no key, no header but the request's id.
"""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from server.contract.answer import ModelAnswer
from server.settings.sampling_rule import Seen
from server.telemetry.record import RequestRecord

VERSION: Final = "9.4.0"
DATASET: Final = "tureen.prediction"

_answer = msgspec.json.Decoder(ModelAnswer)
_encode = msgspec.json.Encoder().encode


def model_answer(record: RequestRecord) -> ModelAnswer | None:
    """What the model said; None where it said nothing, or raw tensors."""
    answer = record.progress.answer
    if answer is None or not answer.reply.members:
        return None
    try:
        return _answer.decode(b"{%b}" % answer.reply.members)
    except msgspec.MsgspecError:
        return None


def seen(record: RequestRecord, said: ModelAnswer | None) -> Seen:
    """What a sampling rule may ask. The score: of the best class, or the model's own."""
    score, label = None, ""
    if said and said.predictions:
        score, label = said.predictions[0].score, said.predictions[0].label
    elif said and said.score is not msgspec.UNSET:
        score = said.score
    if said and said.label:
        label = said.label
    return Seen(record.code, record.total_s, score, label)


def document(record: RequestRecord, said: ModelAnswer | None, wall_ns: int, version: str, node: str) -> bytes:
    """One line of JSON, without its end. `wall_ns`: nanoseconds since 1970 at 0 of CLOCK_MONOTONIC."""
    failed = record.code != "ok"
    start, end = (_iso(wall_ns + int(at * 1e9)) for at in (record.received, record.ended))
    progress, trace = record.progress, record.trace
    found: dict[str, Any] = {
        "@timestamp": end,
        "ecs": {"version": VERSION},
        "event": {
            "dataset": DATASET, "kind": "event", "category": ["api"], "type": ["access"], "action": "predict",
            "outcome": "failure" if failed else "success", "start": start, "end": end,
            "duration": int(record.total_s * 1e9),
        },
        "service": {"name": "tureen", "version": version, "node": {"name": node}},
        "http": {"request": {"id": record.request_id, "method": "POST"}},
        "url": {"path": record.route},
    }  # fmt: skip
    if record.status and not record.by_grpc:
        found["http"]["response"] = {"status_code": record.status}
    if progress.size:
        found["http"]["request"]["body"] = {"bytes": progress.size}
    if progress.header:
        found["file"] = {"mime_type": f"image/{progress.header.format.lower()}", "size": progress.size}
    if failed:
        found["error"] = {"code": record.code}
    if trace:
        found["trace"], found["span"] = {"id": trace.trace_id}, {"id": trace.span_id}
    found["tureen"] = _own(record, said)
    if progress.answer:
        found["event"]["id"] = progress.answer.id
    return _encode(found)


def _own(record: RequestRecord, said: ModelAnswer | None) -> dict[str, Any]:
    progress = record.progress
    found: dict[str, Any] = {"outcome": record.code, "urgency": progress.urgency}
    if progress.header:
        found["image"] = {"pixels": progress.header.pixels}
    answer = progress.answer
    if answer is None:
        return found
    reply = answer.reply
    queue_s = max(0.0, reply.begun - progress.uploaded)
    found |= {
        "model": {"name": answer.model.name, "version": answer.model.version},
        "source": reply.source,
        "batch": {"size": reply.batch},
        "stored": progress.stored,
        "timing": {
            "upload_ms": _ms(progress.uploaded - record.received), "queue_ms": _ms(queue_s),
            "decode_ms": _ms(reply.decode_s), "infer_ms": _ms(reply.infer_s),
            "total_ms": _ms(progress.answered - record.received),
        },
    }  # fmt: skip
    found["image"] = {**found.get("image", {}), "id": answer.id, "hash": answer.hash}
    if answer.arm:
        found["model"]["arm"] = answer.arm
    if said:
        found |= _said(said)
        if said.models:
            found["models"] = [{"name": name, **_said(one)} for name, one in said.models.items()]
    return found


def _said(one: ModelAnswer) -> dict[str, Any]:
    """What one model said, but for raw outputs, which may be megabytes."""
    known: dict[str, Any] = msgspec.to_builtins(
        msgspec.structs.replace(one, outputs=msgspec.UNSET, models=msgspec.UNSET)
    )
    return known


def _iso(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns / 1e9, UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 3)
