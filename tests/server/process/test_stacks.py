"""Stacks of a process: sampled, and as they are now."""

import asyncio
import threading

from server.process.stacks import dump, sample


def test_a_busy_thread_is_found_by_its_name_and_function():
    """Folded: thread and frames from the outermost, then how many samples had it."""
    ended = threading.Event()

    def spin_here():
        while not ended.is_set():
            pass

    thread = threading.Thread(target=spin_here, name="a; busy one")
    thread.start()
    try:
        text = sample(0.3, lambda: False)
    finally:
        ended.set()
        thread.join()

    found = [line for line in text.splitlines() if line.startswith("a,_busy_one;")]
    assert any("test_stacks.py:test_a_busy_thread" in line and "spin_here" in line for line in found)
    assert all(int(line.rsplit(" ", 1)[1]) >= 1 for line in text.splitlines())


def test_sampling_ends_when_it_is_told_to():
    """Long before its time."""
    looks = iter([False, False, True])
    sample(3600.0, lambda: next(looks))

    assert [] == list(looks)


def test_a_dump_names_threads_and_tasks_and_no_value():
    """Places in the code, never what variables hold."""

    async def waits_here(secret):
        await asyncio.Event().wait()

    async def work():
        task = asyncio.create_task(waits_here("canary"), name="the one that waits")
        await asyncio.sleep(0)
        text = dump(asyncio.get_running_loop())
        task.cancel()
        return text

    text = asyncio.run(work())

    assert "thread MainThread" in text
    assert "task the one that waits\n  process/test_stacks.py:" in text
    assert "waits_here" in text
    assert "canary" not in text
