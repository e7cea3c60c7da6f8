"""Who is decoded next, and what waits."""

import threading

from server.inference.inbox import Inbox, Job


def job(seq, large=False):
    return Job(seq, 0.0, b"", large)


def filled(*jobs):
    inbox = Inbox()
    for one in jobs:
        inbox.put(one)
    return inbox


def test_jobs_come_in_their_order_large_or_not():
    """One thread alone sees no difference."""
    inbox = filled(job(1), job(2, large=True), job(3))

    assert [1, 2, 3] == [inbox.take().seq for _ in range(3)]
    assert inbox.take() is None


def test_one_large_image_is_out_at_a_time():
    """Small ones pass those that wait; the next goes when the first is decoded."""
    first, second, small = job(1, large=True), job(2, large=True), job(3)
    inbox = filled(first, second, small)

    assert [first, small, None] == [inbox.take() for _ in range(3)]
    inbox.done(small)
    assert inbox.take() is None
    inbox.done(first)
    assert second == inbox.take()


def test_job_is_taken_back_only_while_it_waits():
    """Large ones as well."""
    inbox = filled(job(1), job(2, large=True), job(3))
    inbox.take()

    assert [False, True, True] == [inbox.remove(seq) for seq in (1, 2, 3)]
    assert inbox.take() is None


def test_a_waiting_thread_gets_the_next_job():
    """Of several that wait, each gets its own."""
    inbox, got = Inbox(), []
    threads = [threading.Thread(target=lambda: got.append(inbox.wait_take().seq)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for seq in range(3):
        inbox.put(job(seq))
    for thread in threads:
        thread.join(20)

    assert {0, 1, 2} == {*got}


def test_a_thread_that_waits_for_a_large_image_is_woken_when_the_other_is_done():
    """And takes nothing before."""
    first = job(1, large=True)
    inbox, got = filled(first, job(2, large=True)), []
    inbox.take()
    waiting = threading.Thread(target=lambda: got.append(inbox.wait_take().seq))
    waiting.start()
    inbox.done(first)
    waiting.join(20)

    assert [2] == got
