"""The load generator counts what comes as what it is, and hides no stall. Against a scripted server."""

import re
import shutil
import subprocess
from collections import Counter

import pytest

from server.commands.bench.fleet import ClientDied, Fleet, Load, Material
from server.commands.bench.records import Outcome
from server.commands.bench.stats import summarize
from server.commands.bench.target import parse_url
from tests.server.commands.bench import scripted as script
from tests.server.commands.bench.scripted import OK, answer, scripted

HANG_GUARD_S = 20.0


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "one.jpg"
    path.write_bytes(b"\xff\xd8" + b"x" * 3000)
    return path


def run(server, picture, *, processes=1, expected=(), **changes):
    """The run of a load of 50 constant arrivals in a second, or as changed."""
    usual = {
        "rate": 50.0,
        "connections": 20,
        "duration_s": 1.0,
        "warmup_s": 0.0,
        "timeout_s": HANG_GUARD_S,
        "slo_s": 1.0,
        "pattern": "constant",
    }
    url = server if isinstance(server, str) else server.url
    material = Material(target=parse_url(url), pictures=[picture], expected=expected)
    with Fleet(material, processes) as fleet:
        return fleet.run(Load(**usual | changes))


def outcomes(run):
    return dict(Counter(run.rows["outcome"].tolist()))


def test_every_outcome_is_counted_as_what_it_is(picture):
    """Statuses, hung, reset, closed, cut short, chunked, without a length, not HTTP: five of each."""
    acts = [
        OK,
        answer(503, b"Retry-After: 2\r\n"),
        answer(500),
        answer(200, b"Connection: close\r\n"),
        b"SMTP ready\r\n\r\n",
        script.hang,
        script.reset,
        script.close,
        script.half,
        script.chunked,
        script.to_the_end,
    ]
    with scripted(lambda number: acts[number % len(acts)]) as server:
        done = run(server, picture, rate=55.0, timeout_s=2.0)

    assert {
        200: 20,
        503: 5,
        500: 5,
        Outcome.MALFORMED: 5,
        Outcome.NO_ANSWER: 5,
        Outcome.RESET: 5,
        Outcome.CLOSED: 10,
    } == outcomes(done)
    assert 55 == len(server.requests)


def test_a_stall_is_seen_by_all_who_would_have_come(picture):
    """In an open loop a third of the arrivals fall into a stall of one second; a closed loop sends one of them."""
    once = {30: script.stall(1.0)}
    with scripted(lambda number: once.get(number, OK)) as server:
        open_loop = run(server, picture, rate=100.0, duration_s=3.0)
    with scripted(lambda number: once.get(number, OK)) as server:
        closed_loop = run(server, picture, rate=0.0, connections=1, duration_s=3.0)

    seen = [summarize(one.rows, 3.0, 5.0).latency for one in (open_loop, closed_loop)]
    assert seen[0].p99 > 0.9
    assert seen[0].p90 > 0.5
    assert seen[1].p99 < 0.5
    assert seen[1].most > 0.9


def test_a_closed_loop_counts_what_the_server_answered(picture):
    """Neither more nor less, and on as many connections as were asked for."""
    with scripted(OK) as server:
        done = run(server, picture, rate=0.0, connections=3)

    assert {200: len(server.requests)} == outcomes(done)
    assert 3 == server.connections


def test_connections_are_kept(picture):
    """One after the other over one connection, as far as the server lets it."""
    with scripted(OK) as server:
        run(server, picture, connections=1)

    assert (50, 1) == (len(server.requests), server.connections)


def test_connection_close_is_honoured(picture):
    """The next request takes another connection, and none is lost."""
    with scripted(answer(headers=b"Connection: close\r\n")) as server:
        done = run(server, picture)

    assert ({200: 50}, 50) == (outcomes(done), server.connections)


def test_an_early_answer_is_an_answer(tmp_path):
    """A refusal before the body is read counts, and the connection goes on when all is sent."""
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(8_000_000))
    with scripted(lambda number: script.early if number % 2 == 0 else OK) as server:
        done = run(server, large, rate=10.0, connections=1)

    assert ({200: 5, 503: 5}, 1) == (outcomes(done), server.connections)


def test_a_server_that_is_not_there_is_named(picture):
    """No request vanishes."""
    assert {Outcome.UNREACHABLE: 50} == outcomes(run("http://127.0.0.1:1", picture))


def test_what_finds_no_connection_is_counted(picture):
    """An open loop with too few connections to a server that hangs: some are sent, the rest stand in line."""
    with scripted(lambda _: script.hang) as server:
        counts = outcomes(run(server, picture, connections=1, timeout_s=0.5))

    assert {Outcome.NO_ANSWER, Outcome.UNSENT} == counts.keys()
    assert 50 == sum(counts.values())
    assert len(server.requests) == counts[Outcome.NO_ANSWER]


@pytest.mark.parametrize(("label", "outcome"), [("soup", 200), ("salad", Outcome.WRONG), (None, 200)])
def test_answers_are_checked(picture, label, outcome):
    """Where a label is expected."""
    with scripted(OK) as server:
        assert {outcome: 50} == outcomes(run(server, picture, expected=[label]))


def test_what_the_server_says_is_kept(picture):
    """Times of the Server-Timing header, batch of the body, Retry-After of a refusal."""
    with scripted(lambda number: OK if number % 2 else answer(503, b"Retry-After: 2\r\n", b"")) as server:
        figures = summarize(run(server, picture).rows, 1.0, 1.0)

    times = [figures.queue.p50, figures.decode.p50, figures.infer.p99]
    assert pytest.approx([0.005, 0.0025, 0.010]) == times
    assert ({4: 25}, 25, 2.0) == (figures.batches, figures.refused, figures.retry_after.most)


def test_several_processes_share_the_load(picture):
    """Together they send what one would have sent."""
    with scripted(OK) as server:
        done = run(server, picture, processes=2)

    assert ({200: 50}, 2) == (outcomes(done), len(done.cpu_s))
    assert pytest.approx([number / 50 for number in range(50)]) == done.rows["due"].tolist()


def test_warm_up_is_not_in_the_window(picture):
    """It is due before zero."""
    with scripted(OK) as server:
        done = run(server, picture, warmup_s=0.5)

    assert (75, 50) == (len(done.rows), summarize(done.rows, 1.0, 1.0).offered)


def test_a_client_that_dies_is_reported(tmp_path):
    """A picture that cannot be read, and no run without it."""
    material = Material(target=parse_url("http://127.0.0.1:1"), pictures=[tmp_path / "none.jpg"])

    with pytest.raises(ClientDied), Fleet(material):
        pass


def test_the_closed_loop_agrees_with_wrk(picture, tmp_path):
    """On what a server does that answers by its own clock, 500 a second; loosely, where others use the machine."""
    lua = tmp_path / "post.lua"
    lua.write_text('wrk.method = "POST"\nwrk.body = string.rep("x", 3002)\n')
    with scripted(script.Paced(5, 0.01)) as server:
        command = [shutil.which("wrk") or "wrk", "-t1", "-c20", "-d2s", "-s", str(lua), f"{server.url}/v1/images"]
        theirs = subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANG_GUARD_S).stdout
        ours = summarize(run(server, picture, rate=0.0, duration_s=2.0).rows, 2.0, 1.0)

    rate = float(re.search(r"Requests/sec: +([\d.]+)", theirs)[1])
    assert 0.7 < ours.rate / rate < 1.4
