"""Numbers of any count of bits, one after the other."""

from __future__ import annotations


class Bits:
    """A reader of `data`, the most significant bit first. Raises IndexError where the bytes end early."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._number = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """The next `count` bits as a number."""
        self._left -= count
        if self._left < 0:
            raise IndexError
        return self._number >> self._left & ((1 << count) - 1)

    def flag(self) -> bool:
        return self.take(1) == 1

    def exp_golomb(self) -> int:
        """HEVC's ue(v), and AV1's uvlc(): as many zeros as bits follow the first one."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise IndexError
        return (1 << zeros) - 1 + self.take(zeros)
