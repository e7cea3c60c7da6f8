"""The limit of connections where several processes of one server serve them: it is the server's, not a process's."""

from server.process.board import OPEN, REJECTED, SLOW_HEADS, Board
from server.web.http.acceptor import has_too_many
from server.web.http.connections import Connections, Endable
from server.web.http.rules import Event


class SharedConnections(Connections):
    """As `Connections`, but what counts is how many are open in all processes."""

    def __init__(self, limit: int, board: Board) -> None:
        super().__init__(limit)
        self._board = board

    def admit(self, connection: Endable) -> Event:
        """As `Connections.admit`. Two processes that admit at the same moment may go one past the limit."""
        event = super().admit(connection)
        self._tell()
        return event

    def leave(self, connection: Endable) -> None:
        """As `Connections.leave`."""
        super().leave(connection)
        self._tell()

    def note_slow_head(self) -> None:
        """As `Connections.note_slow_head`."""
        super().note_slow_head()
        self._board.add(SLOW_HEADS, 1)

    def has_too_many(self) -> bool:
        """Whether this process has clearly more than another front."""
        return has_too_many(self.open, self._board.fronts(OPEN))

    def _is_full(self) -> bool:
        return super()._is_full() or self._board.others(OPEN) + self.open >= self.limit

    def _reject(self) -> None:
        super()._reject()
        self._board.add(REJECTED, 1)

    def _tell(self) -> None:
        self._board.put(OPEN, self.open)


class AllConnections:
    """Those of all processes, as metrics see them."""

    def __init__(self, board: Board) -> None:
        self._board = board

    @property
    def open(self) -> int:
        """Connections within the limit, idle ones included."""
        return self._board.total(OPEN)

    @property
    def rejected(self) -> int:
        """Connections over the limit so far."""
        return self._board.total(REJECTED)

    @property
    def slow_heads(self) -> int:
        """Requests so far whose head took too long."""
        return self._board.total(SLOW_HEADS)
