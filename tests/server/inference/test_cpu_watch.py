"""A decoder that takes far more CPU than it should ends its worker, and says which image it was."""

import threading
import time

import pytest

from server.inference.cpu_watch import CpuWatch


class Watched:
    """A watch whose process does not end; what it said."""

    def __init__(self, **options):
        self.said = []
        self.watch = CpuWatch(self.said.append, end=lambda: self.said.append("end"), **options)


def burn(seconds):
    """Use CPU in this thread."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_an_image_within_what_is_allowed_is_let_go():
    """Ten times what was predicted, and a least for the first of each format."""
    watched = Watched()

    assert watched.watch.allow(1, 0.02) == pytest.approx(0.5)
    burn(0.02)
    watched.watch.look()
    watched.watch.over()

    assert watched.said == []


def test_a_slow_machine_allows_more():
    """What is predicted is of one machine; this one may be another."""
    assert Watched(pace=3.0).watch.allow(1, 0.02) == pytest.approx(1.5)
    assert Watched(pace=0.2).watch.allow(1, 0.02) == pytest.approx(0.5)


def test_an_image_that_takes_too_much_ends_the_process():
    """Its number is reported first; twice what is allowed, so that a decoder that can stops by itself."""
    watched = Watched(least_s=0.01)
    watched.watch.allow(7, 0.0)

    burn(0.015)
    watched.watch.look()
    before = list(watched.said)
    burn(0.02)
    watched.watch.look()

    assert (before, watched.said) == ([], [7, "end"])


def test_what_is_over_is_forgotten():
    """The next image of the thread has a time of its own."""
    watched = Watched(least_s=0.01)
    watched.watch.allow(7, 0.0)
    watched.watch.over()

    burn(0.03)
    watched.watch.look()

    assert watched.said == []


def test_another_threads_clock_is_read():
    """Each decodes an image at a time, and is told apart."""
    watched = Watched(least_s=0.05)
    burnt, done = threading.Event(), threading.Event()

    def decoding():
        watched.watch.allow(9, 0.0)
        burn(0.15)
        burnt.set()
        done.wait(20)

    thread = threading.Thread(target=decoding)
    thread.start()
    watched.watch.allow(1, 0.0)
    burnt.wait(20)
    watched.watch.look()
    done.set()
    thread.join()

    assert watched.said == [9, "end"]


def test_a_decoder_that_waits_uses_nothing():
    """One that hangs without CPU is the pool's affair."""
    watched = Watched(least_s=0.01)
    watched.watch.allow(7, 0.0)

    threading.Event().wait(0.05)
    watched.watch.look()

    assert watched.said == []


def test_it_looks_by_itself():
    """Several times per second, from a thread of its own."""
    ended = threading.Event()
    watch = CpuWatch(lambda seq: None, least_s=0.0, end=ended.set)
    watch.start()
    watch.allow(7, 0.0)
    burn(0.01)

    assert ended.wait(20)
