"""An engine whose server reads uploads in several processes."""

from dataclasses import replace
from typing import Any

from server.engine.engine import Engine
from server.engine.intake import Status
from server.engine.shared import SharedArrivals
from server.process.board import ARRIVING, Board
from server.settings import Settings


class WideEngine(Engine):
    """An `Engine` that counts the uploads under way in other processes against its bound, too."""

    def __init__(self, settings: Settings, board: Board, **options: Any) -> None:  # noqa: ANN401 - as `Engine` has them
        super().__init__(settings, **options)
        self._board = board
        self._arrivals = SharedArrivals(self, board)

    def status(self) -> Status:
        """As `Intake.status`; uploads under way are those of all processes."""
        return replace(super().status(), arriving_bytes=self._board.total(ARRIVING))

    @property
    def free_bytes(self) -> int:
        """As `Room.free_bytes`."""
        return super().free_bytes - self._board.others(ARRIVING)

    def check_room(self, size: int) -> None:
        """As `Room.check_room`."""
        super().check_room(size + self._board.others(ARRIVING))
