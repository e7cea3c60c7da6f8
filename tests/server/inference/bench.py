"""An engine without its process: jobs in, frames out."""

import io
import json
import queue
import time
from dataclasses import dataclass, field

from PIL import Image

from preprocess.limits import Limits
from server.contract.wire import FrameReader
from server.inference.cpu_watch import CpuWatch
from server.inference.inbox import Inbox, Job
from server.inference.onnx.session import Session
from server.inference.sampling import Sampler
from server.inference.stages import Filler, Runner
from server.models.card import find_model
from server.models.output_spec import Output
from server.models.render import answerer

FAR = time.monotonic() + 3600


@dataclass
class Sent:
    """The frames an engine sent, whichever thread sent them."""

    frames: queue.Queue = field(default_factory=queue.Queue)

    def __call__(self, frames):
        self.frames.put(frames)

    def take(self):
        """All there are now, as (message, payload)."""
        whole = b"".join(self.frames.get() for _ in range(self.frames.qsize()))
        return list(FrameReader().feed(whole))

    def wait_for(self, kinds, count):
        """Wait for `count` messages of these kinds; all that came by then."""
        got = []
        while sum(isinstance(message, kinds) for message, _ in got) < count:
            got += FrameReader().feed(self.frames.get(timeout=20))
        return got


class Bench:
    """The pieces of an engine around a model."""

    def __init__(self, model, max_batch=8, card=None, output=None, **session):
        located = find_model(model)
        self.session = Session(located.model_file, card or located.card, max_batch, **session)
        self.inbox = Inbox()
        self.sent = Sent()
        self.watch = CpuWatch(lambda seq: None)
        self.filler = Filler(self.session, Limits(), self.sent, self.watch)
        self.runner = Runner(self.session, answerer(output or CLASSES))
        self.sampler = Sampler(self.session, output or CLASSES, 0.0, self.sent)

    def put(self, *payloads, deadline=FAR):
        for seq, payload in enumerate(payloads):
            self.inbox.put(Job(seq, deadline, payload))


CLASSES = Output(kind="classes", names=("scores",), activation="none")


def kinds(frames):
    return [type(message) for message, _ in frames]


def members(payload):
    return json.loads(b"{" + payload + b"}")


def grey(level, side=8):
    return plain((level, level, level), side)


def plain(colour, side=8):
    out = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(out, "PNG")
    return out.getvalue()
