"""Numbers that processes share."""

import os
import subprocess
import sys

import pytest

from server.process.board import OPEN, REJECTED, SUBMITTED, Board, make_board


@pytest.fixture
def board():
    descriptor = make_board(3)
    yield descriptor
    os.close(descriptor)


def test_each_process_sees_the_sums(board):
    """And whose is what."""
    one, two = Board(board, 1), Board(board, 2)
    one.put(OPEN, 5)
    two.add(OPEN, 2)
    two.add(OPEN, 1)

    assert (8, 3, 5) == (one.total(OPEN), one.others(OPEN), two.others(OPEN))
    assert [5, 3] == two.fronts(OPEN)


def test_a_successor_begins_with_the_totals(board):
    """What its predecessor held is gone with it, what it counted is not."""
    before = Board(board, 1)
    before.put(SUBMITTED, 1000)
    before.add(REJECTED, 7)

    after = Board(board, 1)

    assert (0, 7) == (after.own(SUBMITTED), after.own(REJECTED))


def test_other_processes_have_the_same_numbers(board):
    """By the descriptor that they inherit."""
    script = "import sys; from server.process.board import *; Board(int(sys.argv[1]), 2).put(OPEN, 4)"
    subprocess.run([sys.executable, "-c", script, str(board)], pass_fds=[board], check=True)

    assert 4 == Board(board, 1).total(OPEN)
