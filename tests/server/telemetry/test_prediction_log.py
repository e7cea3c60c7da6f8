"""The prediction log: what is in a line, and what becomes of lines that cannot be written."""

import json
import os
import re
import threading
from pathlib import Path

import pytest

from preprocess.header import Header
from server.contract.answer import Answer, Reply
from server.contract.metadata import ModelMetadata
from server.settings.sampling_rule import Seen, read_rule
from server.telemetry.ecs import document, model_answer
from server.telemetry.prediction_log import PredictionLog
from server.telemetry.record import Progress, RequestRecord
from server.telemetry.rotating_file import RotatingFile
from server.telemetry.trace_context import TraceContext

FIELDS = set((Path(__file__).parent / "ecs_fields.txt").read_text().splitlines())
MODEL = ModelMetadata(name="plates", version="3", digest="", provider="")
MEMBERS = b'"predictions":[{"label":"soup","score":0.7}],"tip":"more salt","outputs":{"x":[1,2]}'


def record(code="ok", members=MEMBERS):
    progress = Progress()
    if code == "ok":
        progress.uploaded, progress.answered, progress.size = 10.1, 10.5, 2000
        progress.header = Header("jpeg", 64, 48)
        progress.answer = Answer("an-id", "a-hash", Reply(MODEL, members, 10.2, 0.1, 0.05, 4))
    status = 200 if code == "ok" else 500
    return RequestRecord("order-66", "/v1/images", code, status, 10.0, 10.6, progress, TraceContext("1" * 32, "2" * 16))


def line(one):
    return json.loads(document(one, model_answer(one), 1_700_000_000_000_000_000, "0.1.0", "here"))


def paths(value, prefix=""):
    """Give the dotted names of a document's leaves."""
    if not isinstance(value, dict):
        return {prefix}
    return {path for key, inner in value.items() for path in paths(inner, f"{prefix}.{key}" if prefix else key)}


@pytest.mark.parametrize("code", ["ok", "model_error"])
def test_every_field_is_one_of_the_schema_or_ours(code):
    """Ours stand below `tureen`, as the schema asks of others' fields."""
    strangers = {path for path in paths(line(record(code))) if not path.startswith("tureen.")} - FIELDS

    assert set() == strangers


def test_a_line_says_what_was_answered_and_where_the_time_went():
    """No outputs, which may be megabytes."""
    found = line(record())

    assert ("success", "an-id") == (found["event"]["outcome"], found["event"]["id"])
    assert pytest.approx(600_000_000) == found["event"]["duration"]
    assert ("1" * 32, "order-66") == (found["trace"]["id"], found["http"]["request"]["id"])
    assert {"label": "soup", "score": 0.7} == found["tureen"]["predictions"][0]
    assert {"upload_ms": 100.0, "queue_ms": 100.0, "decode_ms": 100.0, "infer_ms": 50.0, "total_ms": 500.0} == found[
        "tureen"
    ]["timing"]
    assert "outputs" not in found["tureen"]
    assert "2023-11-14T22:13:30.600Z" == found["@timestamp"]


def test_a_failure_has_its_code():
    """And no model, since none answered."""
    found = line(record("model_error"))

    assert ("failure", "model_error") == (found["event"]["outcome"], found["error"]["code"])
    assert "model" not in found["tureen"]


@pytest.mark.parametrize(
    ("rule", "seen", "taken"),
    [
        ("1", Seen("ok", 0.1, None, ""), True),
        ("0", Seen("ok", 0.1, None, ""), False),
        ("errors", Seen("ok", 0.1, None, ""), False),
        ("errors", Seen("model_error", 0.1, None, ""), True),
        ("slow", Seen("ok", 0.6, None, ""), True),
        ("score<0.6", Seen("ok", 0.1, 0.5, "a"), True),
        ("score<0.6", Seen("ok", 0.1, 0.7, "a"), False),
        ("score>0.6", Seen("ok", 0.1, None, "a"), False),
        ("0,label=soup", Seen("ok", 0.1, 0.5, "soup"), True),
        ("label=soup, errors", Seen("ok", 0.1, 0.5, "salad"), False),
    ],
)
def test_a_rule_takes_what_it_names(rule, seen, taken):
    """A share of all, or any of the parts; the promise is 1 s here."""
    assert taken == read_rule(rule).takes(seen, 0.5, 1.0)


@pytest.mark.parametrize("rule", ["2", "score=0.5", "score<x", "errors;slow", "-1"])
def test_what_is_no_rule_is_refused(rule):
    """With the part that is none."""
    with pytest.raises(ValueError, match=re.escape(rule)):
        read_rule(rule)


def test_a_file_is_rotated_and_the_oldest_goes(tmp_path):
    """No file grows beyond its bound, and no line is cut."""
    file = RotatingFile(tmp_path / "log", max_bytes=100, kept=2)
    for number in range(40):
        file.write(b"line %04d\n" % number)

    assert {"log", "log.1", "log.2"} == {path.name for path in tmp_path.iterdir()}
    kept = b"".join((tmp_path / name).read_bytes() for name in ("log.2", "log.1", "log"))
    assert [b"line %04d" % number for number in range(10, 40)] == kept.splitlines()


def test_a_file_that_was_moved_away_is_made_anew(tmp_path):
    """As logrotate does; lines after it go into the new file."""
    file = RotatingFile(tmp_path / "log")
    file.write(b"one\n")
    (tmp_path / "log").rename(tmp_path / "moved")
    file.write(b"two\n")

    assert (b"one\n", b"two\n") == ((tmp_path / "moved").read_bytes(), (tmp_path / "log").read_bytes())


def test_a_disk_that_is_full_costs_lines_and_nothing_else():
    """/dev/full takes nothing: lines are lost and counted; the log goes on."""

    class Full:
        def write(self, lines):
            with open("/dev/full", "wb", buffering=0) as file:
                file.write(lines)

        def close(self):
            pass

    log = PredictionLog(Full(), read_rule("1"), 1.0)
    for _ in range(3):
        log.offer(record())
    log.close()

    assert (0, {"disk": 3}) == log.figures()


def test_lines_are_written_while_the_file_is_rotated_under_it(tmp_path):
    """Ten thousand answers offered at once: each is a line, in whatever file."""
    log = PredictionLog(RotatingFile(tmp_path / "log", max_bytes=200_000, kept=100), read_rule("1"), 1.0)
    for _ in range(1000):
        log.offer(record())
    log.close()

    assert (1000, {}) == log.figures()
    lines = [line for path in tmp_path.iterdir() for line in path.read_bytes().splitlines()]
    assert 1000 == len(lines)
    assert all(json.loads(line)["ecs"] for line in lines)


def test_a_reader_that_stalls_holds_up_nobody_and_costs_what_does_not_fit():
    """A pipe that is full: answers are offered at once, the rest is counted as lost; all that waited is written once it
    reads on."""
    reader, writer = os.pipe()
    begun = threading.Event()

    class Pipe:
        def write(self, lines):
            begun.set()
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(writer, rest) :]

        def close(self):
            os.close(writer)

    log = PredictionLog(Pipe(), read_rule("1"), 1.0)
    for _ in range(1000):
        log.offer(record())  # far more than a pipe holds
    assert begun.wait(30)
    for _ in range(12_000):
        log.offer(record())
    lost = log.figures().lost
    with open(reader, "rb") as file:
        ending = threading.Thread(target=log.close)
        ending.start()
        lines = file.readlines()
        ending.join()

    assert lost["queue_full"] >= 1000
    assert {"queue_full"} == set(lost)
    assert 13_000 == len(lines) + log.figures().lost["queue_full"]


def test_a_reader_that_has_gone_costs_lines_and_nothing_else():
    """Its pipe is broken: lines are lost and counted; the log goes on."""
    reader, writer = os.pipe()
    os.close(reader)

    class Broken:
        def write(self, lines):
            os.write(writer, lines)

        def close(self):
            os.close(writer)

    log = PredictionLog(Broken(), read_rule("1"), 1.0)
    for _ in range(3):
        log.offer(record())
    log.close()

    assert (0, {"disk": 3}) == log.figures()
