"""A clock that is set is noticed, and one that is slewed is not."""

from server.process.clock_watch import ClockWatch


class Clocks:
    """Two clocks, by hand."""

    def __init__(self):
        self.wall, self.monotonic = 1_000.0, 5.0

    def pass_by(self, seconds, *, set_by=0.0):
        self.monotonic += seconds
        self.wall += seconds + set_by


def test_a_step_is_seen_once_with_its_size():
    """Backwards and forwards; time that passes is none."""
    clocks = Clocks()
    watch = ClockWatch(lambda: clocks.wall, lambda: clocks.monotonic)
    seen = []
    for seconds, set_by in ((1.0, 0.0), (60.0, 0.0004), (1.0, -3600.0), (1.0, 0.0), (1.0, 7200.0)):
        clocks.pass_by(seconds, set_by=set_by)
        seen.append(round(watch.look(), 3))

    assert [0.0, 0.0, -3600.0, 0.0, 7200.0] == seen
    assert 2 == watch.steps
