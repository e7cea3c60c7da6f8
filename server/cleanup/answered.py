"""What is kept of an image once it has been answered. Pure."""

import hashlib

import msgspec

from preprocess.limits import Limits
from preprocess.redact import without_metadata
from server.cleanup.item import Item, Record, Redaction, iso_time
from server.contract.answer import Answer, Timing
from server.contract.task import ImageTask


def item_of(
    task: ImageTask,
    answer: Answer,
    timing: Timing,
    redact: Redaction,
    *,
    request_id: str = "",
    account: str = "",
    duplicate_of: str = "",
    source: str = "",
    traceparent: str = "",
) -> Item:
    """Record and original as they may be kept: what cannot be freed of its metadata is not kept.

    It hashes the image, so it belongs into a thread.
    """
    record = Record(
        id=answer.id,
        hash=answer.hash,
        sha256=hashlib.sha256(task.body).hexdigest(),
        time=iso_time(answer.id),
        model=answer.model.name,
        version=answer.model.version,
        media_type=f"image/{task.header.format.lower()}",
        bytes=len(task.body),
        answer=msgspec.Raw(b"{%b}" % answer.reply.members),
        timing=msgspec.to_builtins(timing),
        request_id=request_id,
        owner=account,
        duplicate_of=duplicate_of,
        source=source,
        traceparent=traceparent,
        arm=answer.arm if "/" in answer.arm else "",
        unit=answer.unit,
    )
    if redact == "off":
        return Item(record, task.body)
    clean = without_metadata(task.body, task.header.format, Limits()) if redact == "metadata" else None
    redacted: Redaction = "originals" if clean is None else "metadata"
    return Item(msgspec.structs.replace(record, redacted=redacted), clean or b"")
