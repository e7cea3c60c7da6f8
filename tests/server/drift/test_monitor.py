"""Looks in, alarms out."""

import anyio
import anyio.lowlevel
import pytest

from server.contract.answer import Reply
from server.contract.metadata import ModelMetadata
from server.drift.monitor import Monitor
from server.drift.reference import FILE, BadReference, Look, reference_of, save
from server.drift.view import view

MODEL = ModelMetadata(
    name="food", version="1", digest="", recipe="", provider="", inputs=(), outputs=(), answer=""
)  # fmt: skip
MEMBERS = b'"predictions":[{"label":"cat","score":0.9}]'


def numbers(at, scale):
    """Give the numbers of one of 500 looks."""
    return (scale * (at % 500) / 500, 0.2, -0.5, 0.1, 9.0, 0.4, float("nan"), 0.8, 0.5)


def reply(at, scale=1.0):
    """Give a reply whose image was looked at."""
    return Reply(MODEL, MEMBERS, 0.0, 0.0, 0.0, 1, features=numbers(at, scale))


async def windows(monitor, scales):
    """Have one full window judged for each scale; whether there is an alarm after each."""
    alarms = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(monitor.run)
        for count, scale in enumerate(scales, 1):
            for at in range(monitor.window):
                monitor.note(reply(at, scale))
            while monitor.versions["food", "1"].compared < count:
                await anyio.lowlevel.checkpoint()
            alarms.append(monitor.alarms()["food", "1"])
        tasks.cancel_scope.cancel()
    return alarms


@pytest.fixture
def monitor(tmp_path):
    """Give one with a reference for version 1."""
    save(tmp_path, reference_of([Look(numbers(at, 1.0), "cat") for at in range(2000)], "2026-11-28"))
    return Monitor(lambda model, version: tmp_path, lambda: 1000.0)


def test_an_alarm_begins_and_ends(monitor, capsys):
    """Once both the last window and the last two are as before; a log line says each."""
    assert [False, True, True, False] == anyio.run(windows, monitor, (1.0, 0.6, 1.0, 1.0))
    assert 1 == monitor.versions["food", "1"].alarms


def test_what_was_not_looked_at_is_not_noted(monitor):
    """Most replies."""
    monitor.note(Reply(MODEL, MEMBERS, 0.0, 0.0, 0.0, 1))

    assert {} == monitor.versions


def test_a_reference_is_made_of_live_images(tmp_path):
    """Saved with the version, and watched by from then on."""
    monitor = Monitor(lambda model, version: tmp_path, lambda: 1000.0)
    monitor.collect("food", "1", 600)
    for at in range(600):
        monitor.note(reply(at))

    assert (tmp_path / FILE).exists()
    assert {("food", "1"): False} == monitor.alarms()


@pytest.mark.parametrize("looks", [0, 499, 10_001])
def test_a_reference_of_too_few_or_too_many_is_refused(monitor, looks):
    """With the bounds."""
    with pytest.raises(BadReference, match="500 to 10,000"):
        monitor.collect("food", "1", looks)


def test_a_single_file_has_no_reference():
    """There is no folder of its own to save it in."""
    monitor = Monitor(lambda model, version: None, lambda: 1000.0)
    monitor.note(reply(0))

    with pytest.raises(BadReference, match="no folder"):
        monitor.collect("food", "1", 600)


def test_what_is_shown_follows(monitor):
    """Distributions over the same bins, and each window."""
    anyio.run(windows, monitor, (1.0, 0.6))
    (shown,) = view(monitor, "food")

    assert [False, True] == [window.drifted for window in shown.windows]
    assert "brightness" in shown.windows[-1].reasons
    bars = {bar.feature: bar for bar in shown.bars}
    assert len(bars["brightness"].labels) == len(bars["brightness"].window) == 20
    assert ("cat",) == bars["class"].labels
    assert shown.since == 1000.0
