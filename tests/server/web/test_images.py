"""From which moment deadlines count, and what an answer says of where its time went."""

import asyncio
import json

import pytest

from preprocess.header import read_header
from preprocess.limits import Limits
from server.access.principal import EVERYTHING, Principal
from server.contract.answer import Answer, Reply
from server.contract.metadata import ModelMetadata
from server.contract.task import ImageTask
from server.engine.arrivals import Arrivals
from server.web.images import Images
from server.web.request import Request
from server.web.uploads import BodyLimits, Uploads
from tests.photos import photo

HEAD, LAST_BYTE, BEGUN, ANSWERED = 100.0, 105.0, 105.25, 105.5  # seconds; the two pieces of the body take 2 and 3
SLO_S = 1.0
MODEL = ModelMetadata(name="plates", version="1", digest="", provider="")


class Scripted:
    """Runtime, engine and metrics in one, on a clock of its own; keeps the deadline it was given."""

    limits = Limits()
    slo_s = SLO_S
    longest_linger_s = 0.0
    max_bytes = free_bytes = 10_000_000

    def __init__(self):
        self.engine = self
        self.clock = HEAD
        self.task = self.deadline = self.urgency = None
        self.observed = None
        self.reserve = Arrivals(self).reserve

    def now(self):
        return self.clock

    def check_room(self, size):
        pass

    def announce(self, count):
        pass

    def observe(self, answer, queue_s, total_s, urgency, trace):
        self.observed = queue_s, total_s

    def slo_of(self, model):
        return SLO_S

    async def submit(self, task, deadline, urgency, reuse="allowed", owner=None, sticky=""):
        self.task, self.deadline, self.urgency = task, deadline, urgency
        self.clock = ANSWERED
        return Answer("id", "hash", Reply(MODEL, b'"tip":"soup"', BEGUN, 0.1, 0.05, 4))


def posted(*headers):
    """What a front end does with an upload that comes in two pieces: the engine's stand-in, and the answer's timing."""
    server, image = Scripted(), photo(1)
    pieces = iter([(2.0, image[:100], True), (3.0, image[100:], False)])

    async def receive():
        seconds, body, more = next(pieces)
        server.clock += seconds
        return {"type": "http.request", "body": body, "more_body": more}

    async def run():
        fields = [(b"content-length", b"%d" % len(image)), *headers]
        uploads = Uploads(BodyLimits(1_000_000, 30.0, 1.0))
        scope = {"headers": fields, "path": "/v1/images", "query_string": b""}
        request = Request(scope, receive, uploads, HEAD, asyncio.get_running_loop())
        request.principal = Principal("ip:a", EVERYTHING)
        return await Images(server, server, 1_000_000).post(request)

    return server, json.loads(asyncio.run(run()).body)["timing"]


def test_the_promise_counts_from_the_last_byte():
    """A slow phone network is not the server's lateness."""
    assert LAST_BYTE + SLO_S == posted()[0].deadline


def test_a_clients_own_deadline_counts_from_its_head():
    """It says how long it will wait, and it began to wait when it began to send."""
    assert HEAD + 10.0 == posted((b"x-request-timeout-ms", b"10000"))[0].deadline


def test_the_engine_gets_the_whole_image_and_how_urgent_it_is():
    """With what its header says, by which its work is predicted."""
    server, _ = posted((b"priority", b"u=1"))

    assert ImageTask(photo(1), read_header(photo(1), Limits())) == server.task
    assert 1 == server.urgency


def test_an_answer_tells_where_its_time_went():
    """Milliseconds: from the head to the last byte, from there to the first work on it, at work, and in all."""
    server, timing = posted()

    assert {"upload": 5000.0, "queue": 250.0, "decode": 100.0, "infer": 50.0, "total": 5500.0} == timing
    assert pytest.approx((0.25, 5.5)) == server.observed
