"""How what dispatch sends gets to the one thread of a worker, which reads when it looks for the next image."""

import socket
import subprocess
import sys
from contextlib import contextmanager

from server.contract.wire import Drop, FrameReader, ImageItem, Skipped, frame
from server.inference.inbox import Inbox
from server.inference.link import Outbox, PolledInbox, Source, receiver
from tests.photos import photo


@contextmanager
def link():
    """Dispatch's end of a socket, and the inbox at the other end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        inbox = Inbox()
        yield ours, PolledInbox(inbox, Source(theirs, receiver(inbox, Outbox(theirs), lambda: None)))


def image(seq, deadline, pixels):
    """Give a frame's header as an engine sends it."""
    return ImageItem(seq, "m", "1", "answer", deadline, pixels)


def taken(inbox):
    jobs = []
    while job := inbox.take():
        inbox.done(job)
        jobs.append(job)
    return jobs


def test_what_has_come_is_taken_in_its_order():
    """Nothing is waited for: half a frame is none yet."""
    whole, half = frame(image(2, 9.0, 3072), photo(2)), frame(image(3, 9.0, 3072), photo(3))
    with link() as (dispatch, inbox):
        dispatch.sendall(frame(image(1, 8.0, 3072), photo(1)) + whole + half[:50])
        first = taken(inbox)
        dispatch.sendall(half[50:])
        second = taken(inbox)

    assert [(1, 8.0, photo(1)), (2, 9.0, photo(2))] == [(job.seq, job.deadline, job.payload) for job in first]
    assert [(3, photo(3))] == [(job.seq, job.payload) for job in second]


def test_whether_an_image_is_large_is_read_off_its_frame():
    """Dispatch has read its header: the bytes are not looked at again until they are decoded."""
    with link() as (dispatch, inbox):
        dispatch.sendall(frame(image(1, 8.0, 12_000_000), b"?") + frame(image(2, 8.0, 12_000_001), b"?"))

        assert [False, True] == [job.large for job in taken(inbox)]


def test_image_dropped_before_it_is_begun_is_skipped():
    """The one that has been taken is not: its answer is owed."""
    with link() as (dispatch, inbox):
        dispatch.sendall(frame(image(1, 8.0, 3072), photo(1)) + frame(image(2, 8.0, 3072), photo(2)))
        begun = inbox.take()
        dispatch.sendall(frame(Drop(1)) + frame(Drop(2)))
        rest = taken(inbox)
        (answer,) = FrameReader().feed(dispatch.recv(1000))

    assert (1, [], Skipped(2)) == (begun.seq, rest, answer[0])


def test_image_larger_than_one_read_is_put_together():
    """Reads are of 256 KiB; photographs are larger."""
    large = photo(1) + bytes(600_000)
    with link() as (dispatch, inbox):
        sender = subprocess.Popen(
            [sys.executable, "-c", "import socket, sys; s = socket.socket(fileno=int(sys.argv[1]));"
             "s.sendall(sys.stdin.buffer.read())", str(dispatch.fileno())],
            stdin=subprocess.PIPE, pass_fds=[dispatch.fileno()],
        )  # fmt: skip
        sender.stdin.write(frame(image(1, 8.0, 3072), large))
        sender.stdin.close()
        inbox.wait()
        job = inbox.take()
        assert 0 == sender.wait(20)

    assert large == job.payload


def test_end_of_the_connection_ends_a_process_that_never_looks():
    """A model that hangs while its parent dies leaves no worker behind."""
    ours, theirs = socket.socketpair()
    hangs = (
        "import socket, sys, threading; from server.inference.link import end_with;"
        "s = socket.socket(fileno=int(sys.argv[1])); end_with(s); s.send(b'x'); threading.Event().wait()"
    )
    with theirs:
        worker = subprocess.Popen([sys.executable, "-c", hangs, str(theirs.fileno())], pass_fds=[theirs.fileno()])
    assert b"x" == ours.recv(1)
    ours.sendall(b"unread")
    ours.close()

    assert 0 == worker.wait(20)
