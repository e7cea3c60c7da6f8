"""Sending spans: bounded, and nothing is lost without being counted."""

import threading

from server.telemetry.exporter import Exporter, ExportFailed


class Gate:
    """A transport whose sends end when the test says so, or fail."""

    def __init__(self, error=None):
        self.error = error
        self.entered, self.open = threading.Event(), threading.Event()
        self.sent = []

    def send(self, body):
        self.entered.set()
        self.open.wait(10)
        if self.error:
            raise self.error
        self.sent.append(body)

    def close(self):
        pass


def exporter(transport):
    started = Exporter(list, lambda spans: b"%d" % len(spans), transport)
    started.start()
    return started


def test_what_is_offered_is_sent():
    """All of it, by the end."""
    transport = Gate()
    transport.open.set()
    one = exporter(transport)
    for number in range(300):
        one.offer(number)
    one.close()

    assert 300 == sum(map(int, transport.sent)) == one.figures().exported
    assert {} == one.figures().lost


def test_a_collector_that_hangs_blocks_nobody_and_costs_what_does_not_fit():
    """Offering returns at once; beyond the bound items are lost, and counted."""
    transport = Gate()
    one = exporter(transport)
    one.offer(0)
    transport.entered.wait(10)
    for number in range(5000):
        one.offer(number)

    assert {"queue_full": 5000 - 2048} == one.figures().lost
    transport.open.set()
    one.close()


def test_a_collector_that_is_away_is_tried_again_and_then_given_up():
    """At the end of the process at once; what it did not take is counted."""
    transport = Gate(ExportFailed("refused", again=True))
    transport.open.set()
    one = exporter(transport)
    one.offer(0)
    one.close()

    assert (0, {"unreachable": 1}) == one.figures()
