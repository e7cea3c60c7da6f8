"""Room for uploads where several processes of one server read them: their bytes are bounded together."""

from server.engine.arrivals import Arrivals, GiveUp, Reservation, Room
from server.process.board import ARRIVING, Board


class SharedArrivals(Arrivals):
    """Arrivals whose bytes the other processes see."""

    def __init__(self, room: Room, board: Board) -> None:
        super().__init__(room)
        self._board = board

    def reserve(self, size: int, give_up: GiveUp | None = None) -> Reservation:
        """As `Arrivals.reserve`."""
        reservation = super().reserve(size, give_up)
        self._board.put(ARRIVING, self.bytes)
        return reservation

    def grow(self, reservation: Reservation, count: int) -> None:
        """As `Arrivals.grow`."""
        super().grow(reservation, count)
        self._board.put(ARRIVING, self.bytes)

    def let_go(self, reservation: Reservation) -> None:
        """As `Arrivals.let_go`."""
        super().let_go(reservation)
        self._board.put(ARRIVING, self.bytes)
