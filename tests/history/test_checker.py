"""Each kind of breach, planted into a history that is clean, is found; and a clean one is."""

import json
import time
from types import SimpleNamespace

import pytest

from tests.end_to_end.harness import Reply
from tests.history import checker, footprint
from tests.history.operations import LOST, History, Pictures

SCORES = [{"a": 0.7, "b": 0.3}, {"a": 0.2, "b": 0.8}]
PICTURES = Pictures([b"first", b"second"], SimpleNamespace(scores=lambda body: SCORES[body == b"second"]))
BEFORE = {
    "tureen_queue_images": 0.0, "tureen_running_images": 0.0, "tureen_held_bytes": 0.0, "tureen_arriving_bytes": 0.0,
    "tureen_accepted_images_total": 0.0, "tureen_answered_images_total": 0.0, "tureen_failed_images_total": 0.0,
    'tureen_expired_images_total{stage="waiting"}': 0.0, 'tureen_cancelled_images_total{stage="waiting"}': 0.0,
}  # fmt: skip


def answer(picture):
    best = sorted(SCORES[picture].items(), key=lambda item: -item[1])
    return json.dumps({"predictions": [{"label": label, "score": score} for label, score in best]}).encode()


def problem(status, code, **headers):
    return Reply(status, headers, json.dumps({"code": code}).encode())


def counted(**outcomes):
    """The counters after these outcomes of uploads, all of them consistent with each other."""
    ended = {"answered": outcomes.get("ok", 0), "expired": outcomes.get("deadline_exceeded", 0)}
    after = BEFORE | {f'tureen_requests_total{{outcome="{code}",resource="images"}}': n for code, n in outcomes.items()}
    after["tureen_answered_images_total"] = ended["answered"]
    after['tureen_expired_images_total{stage="waiting"}'] = ended["expired"]
    after["tureen_accepted_images_total"] = sum(ended.values())
    return after


@pytest.fixture
def history():
    """Two pictures answered, one refused, one expired, one that left."""
    history = History()
    for picture, body in enumerate(PICTURES.bodies):
        history.begin(picture, body, 1.0).answered(Reply(200, {}, answer(picture)))
    history.begin(0, b"first", 1.0).answered(problem(503, "would_be_late", **{"retry-after": "1"}))
    history.begin(0, b"first", 0.0).answered(problem(504, "deadline_exceeded"))
    history.begin(0, b"first").left()
    return history


COUNTED = {"ok": 2, "would_be_late": 1, "deadline_exceeded": 1, "client_gone": 1}


def rules(violations):
    return [one.rule for one in violations]


def test_clean_history_has_no_violation(history):
    """Answers, a refusal, an expiry in time and a client that left."""
    after = counted(**COUNTED)

    assert [] == [
        *checker.check(history, PICTURES),
        *checker.at_rest(after),
        *checker.agreement(history, BEFORE, after),
    ]


def test_operation_without_an_ending_is_found(history):
    """Nothing came of it, and nobody wrote down that it was lost."""
    history.begin(0, b"first", 1.0)

    assert ["one ending"] == rules(checker.check(history, PICTURES))


def test_second_answer_is_found(history):
    """One request, two answers."""
    history.operations[0].answered(Reply(200, {}, answer(0)))

    assert ["one ending"] == rules(checker.check(history, PICTURES))


def test_another_pictures_answer_is_found(history):
    """Rows that were swapped within a batch: each has an answer, and a wrong one."""
    first, second = history.operations[0].endings[0], history.operations[1].endings[0]
    first.body, second.body = second.body, first.body

    assert ["answer", "answer"] == rules(checker.check(history, PICTURES))


def test_answer_without_predictions_is_found(history):
    """A 200 with nothing in it is no answer."""
    history.operations[0].endings[0].body = b'{"predictions": []}'

    assert ["answer"] == rules(checker.check(history, PICTURES))


def test_pictures_with_the_same_answer_are_found():
    """No swap between them would show."""
    same = Pictures([b"first", b"first"], PICTURES.reference)

    assert ["alike"] == rules(checker.check(History(), same))


def test_other_bytes_than_the_pictures_are_found(history):
    """Then its answer proves nothing."""
    history.begin(0, b"second", 1.0).answered(Reply(200, {}, answer(0)))

    assert ["bytes"] == rules(checker.check(history, PICTURES))


def test_connection_that_ends_without_an_answer_is_found(history):
    """Lost, when no fault explains it."""
    history.begin(0, b"first", 1.0).lost("reset")

    assert ["lost"] == rules(checker.check(history, PICTURES))


def test_answer_after_deadline_and_grace_is_found(history):
    """101 ms after its deadline is late, whatever its status."""
    history.operations[0].due = history.operations[0].endings[0].at - 0.101

    assert ["late"] == rules(checker.check(history, PICTURES))


def test_answer_within_the_grace_is_none(history):
    """99 ms are its way to the client."""
    history.operations[0].due = history.operations[0].endings[0].at - 0.099

    assert [] == checker.check(history, PICTURES)


@pytest.mark.parametrize(("picture", "status"), [(0, 500), (0, 422), (-1, 500), (-1, 502)])
def test_status_that_is_our_fault_is_found(history, picture, status):
    """500 for anything; for a good picture a rejection too."""
    history.begin(picture, b"first", 1.0).answered(problem(status, "any"))

    assert ["status"] == rules(checker.check(history, PICTURES))


def test_rejection_of_what_is_no_picture_is_none(history):
    """415 is the right answer to garbage."""
    history.begin(-1, b"garbage", 1.0).answered(problem(415, "not_an_image"))

    assert [] == checker.check(history, PICTURES)


@pytest.mark.parametrize(("deadline_s", "shortest_ms", "breaches"), [(0.004, 9, 0), (0.2, 9, 1), (0.2, 300, 1)])
def test_never_is_honest_only_for_a_deadline_that_no_such_picture_meets(history, deadline_s, shortest_ms, breaches):
    """Not for one that is long enough, nor because an image is said to take very long."""
    document = json.dumps({"code": "deadline_unmeetable", "shortest_ms": shortest_ms}).encode()
    history.begin(0, b"first", deadline_s).answered(Reply(422, {}, document))

    assert ["status"] * breaches == rules(checker.check(history, PICTURES))


def test_refusal_that_does_not_say_when_to_come_back_is_found(history):
    """A 503 has a Retry-After in whole seconds."""
    history.begin(0, b"first", 1.0).answered(problem(503, "queue_full"))

    assert ["retry-after"] == rules(checker.check(history, PICTURES))


def test_fault_explains_what_it_says_and_only_while_it_lasts(history):
    """Lost before it: a breach. During it: not. A 500 during it: a breach, since it explains none."""
    history.begin(0, b"first", 1.0).lost("before")
    time.sleep(0.001)  # the clock's step
    with history.fault("web killed", [LOST]):
        history.begin(0, b"first", 1.0).lost("meanwhile")
        history.begin(0, b"first", 1.0).answered(problem(500, "internal_error"))

    assert ["lost", "status"] == rules(checker.check(history, PICTURES))


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("tureen_queue_images", "rest"),
        ("tureen_held_bytes", "rest"),
        ("tureen_accepted_images_total", "conservation"),
        ("tureen_failed_images_total", "conservation"),
        ('tureen_cancelled_images_total{stage="waiting"}', "conservation"),
    ],
)
def test_counter_that_does_not_add_up_is_found(name, rule):
    """One more than there were, in any of them."""
    after = counted(**COUNTED)
    after[name] += 1

    assert [rule] == rules(checker.at_rest(after))


@pytest.mark.parametrize(
    "outcomes",
    [
        COUNTED | {"ok": 1},
        COUNTED | {"ok": 4},
        COUNTED | {"would_be_late": 0},
        COUNTED | {"client_gone": 2},
        COUNTED | {"deadline_exceeded": 0},
    ],
)
def test_counts_that_are_not_the_clients_are_found(history, outcomes):
    """Fewer than they saw, or more than the one that left can account for."""
    assert "agreement" in rules(checker.agreement(history, BEFORE, counted(**outcomes)))


def process(pid, descriptors=20, threads=4, resident=50 << 20):
    return footprint.Process(pid, descriptors, threads, resident)


def held(connections=1, workers=(3, 4), **web):
    return footprint.Footprint(process(1), process(2, **web), {pid: process(pid) for pid in workers}, connections)


def test_same_footprint_has_no_violation():
    """Two descriptors more or less are none; nor is another worker."""
    assert [] == footprint.difference(held(), held(descriptors=22, threads=2, workers=(3, 9)))


@pytest.mark.parametrize(
    ("after", "rule"),
    [
        (held(descriptors=23), "descriptors"),
        (held(descriptors=17), "descriptors"),
        (held(threads=7), "threads"),
        (held(connections=2), "connections"),
        (held(workers=(3,)), "workers"),
    ],
)
def test_what_is_left_behind_is_found(after, rule):
    """Each thing that a server may leave behind, alone."""
    assert [rule] == rules(footprint.difference(held(), after))


def test_another_supervisor_is_found():
    """Its process id says so."""
    after = footprint.Footprint(process(9), process(2), {pid: process(pid) for pid in (3, 4)}, 1)

    assert ["supervisor"] == rules(footprint.difference(held(), after))


def test_growth_beyond_what_is_allowed_is_found():
    """Ten MiB are more than nine, and not more than ten."""
    after = held(resident=60 << 20)

    assert (["memory"], []) == (
        rules(footprint.growth(held(), after, 9 << 20)),
        footprint.growth(held(), after, 10 << 20),
    )
