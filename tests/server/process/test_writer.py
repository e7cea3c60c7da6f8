"""Lines that a thread writes: nobody waits for them, and what cannot be written is counted."""

import os

import pytest

from server.process.writer import Writer


@pytest.fixture
def pipe():
    """Its reading and its writing end; whoever closes one says so by -1."""
    ends = list(os.pipe())
    yield ends
    for end in ends:
        if end >= 0:
            os.close(end)


def lost(count):
    return b"%d lost\n" % count


def fill(descriptor):
    """Write until it takes no more."""
    os.set_blocking(descriptor, False)
    try:
        while True:
            os.write(descriptor, bytes(4096))
    except BlockingIOError:
        os.set_blocking(descriptor, True)


def test_lines_arrive_whole_and_in_order(pipe):
    """Also those that were queued while others were being written."""
    writer = Writer(pipe[1])
    lines = [b"line %d\n" % number for number in range(1000)]
    for line in lines:
        writer.write(line)
    writer.flush()

    assert b"".join(lines) == os.read(pipe[0], 100_000)


def test_reader_that_has_left_is_no_error(pipe):
    """Lines for it are lost, and the thread lives."""
    os.close(pipe[0])
    pipe[0] = -1
    writer = Writer(pipe[1])
    for _ in range(2):
        writer.write(b"to nobody\n")
        writer.flush()


def test_reader_that_has_stopped_reading_makes_nobody_wait(pipe):
    """What is over the bound is dropped; when it reads again, it is told how many lines it missed."""
    fill(pipe[1])
    writer = Writer(pipe[1], lost, max_bytes=10)
    writer.write(b"taken\n")
    writer.flush(timeout_s=0.05)  # the thread has it, and is stuck
    writer.write(b"queued\n")
    for _ in range(5):
        writer.write(b"too many\n")

    text = b""
    while not text.endswith(b"queued\n"):
        text += os.read(pipe[0], 1 << 20)
    assert text.endswith(b"taken\n5 lost\nqueued\n")


def test_non_blocking_descriptor_is_waited_for(pipe):
    """A terminal that another program made non-blocking takes everything, in several writes."""
    os.set_blocking(pipe[1], False)
    writer = Writer(pipe[1])
    writer.write(b"x" * 300_000)

    received = 0
    while received < 300_000:
        received += len(os.read(pipe[0], 1 << 20))


def test_full_disk_loses_lines_and_says_so_once_there_is_room(tmp_path):
    """The notice comes before the first line that can be written."""
    full = os.open("/dev/full", os.O_WRONLY)
    writer = Writer(full, lost)
    for _ in range(3):
        writer.write(b"no room\n")
        writer.flush()
    room = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    os.dup2(room, full)
    writer.write(b"written\n")
    writer.flush()

    assert b"3 lost\nwritten\n" == (tmp_path / "log").read_bytes()
    os.close(full)
    os.close(room)
