"""A few numbers that the processes of one server share: each process has a row, which nobody else writes.

    row \\ column   OPEN  REJECTED  SLOW_HEADS  ARRIVING  SUBMITTED
    0 (engine)
    1 (front 0)
    ...

CORRECTNESS: a cell is eight aligned bytes with one writer, so a reader sees a whole number, old or new. A sum of cells
may be older than a moment, as any number is that another process may change. The memory has no name and no file: it
ends with the last process that has it.
"""

import mmap
import os
from typing import Final

OPEN, REJECTED, SLOW_HEADS, ARRIVING, SUBMITTED = range(5)
"""Client connections: open, turned away, too slow; and the bytes of uploads under way, and with the engine."""

_COLUMNS: Final = 8
_CELL: Final = 8
_TOTALS: Final = (REJECTED, SLOW_HEADS)


def make_board(rows: int) -> int:
    """A descriptor of a board of zeros, for `Board` in processes that inherit it. The caller closes it."""
    descriptor = os.memfd_create("tureen-board")
    os.ftruncate(descriptor, rows * _COLUMNS * _CELL)
    return descriptor


class Board:
    """One process's view. What its predecessor in this row left is cleared, but for the totals, which go on."""

    def __init__(self, descriptor: int, row: int) -> None:
        self._cells = memoryview(mmap.mmap(descriptor, os.fstat(descriptor).st_size)).cast("q")
        self._row = row * _COLUMNS
        for column in range(_COLUMNS):
            if column not in _TOTALS:
                self.put(column, 0)

    def put(self, column: int, value: int) -> None:
        """Write a cell of this process's row."""
        self._cells[self._row + column] = value

    def add(self, column: int, count: int) -> None:
        """Add to a cell of this process's row."""
        self._cells[self._row + column] += count

    def own(self, column: int) -> int:
        """This process's number."""
        return self._cells[self._row + column]

    def total(self, column: int) -> int:
        """The sum over all processes."""
        return sum(self._cells[column::_COLUMNS])

    def others(self, column: int) -> int:
        """The sum over all processes but this one."""
        return self.total(column) - self.own(column)

    def fronts(self, column: int) -> list[int]:
        """The number of each front."""
        return list(self._cells[_COLUMNS + column :: _COLUMNS])
