"""A whole body in memory, its bytes counted against a reservation as they come."""

from server.engine.arrivals import Reservation
from server.web.body import Body


async def read_whole(body: Body, reservation: Reservation) -> bytes:
    """Raises `RequestError`, `ClientGone`, and `QueueFull` where there is no room for it."""
    pieces, size = [], 0
    while (piece := await body.read()) is not None:
        size += len(piece)
        reservation.grow_to(size)
        reservation.expect(body.rest_s)
        pieces.append(piece)
    return b"".join(pieces)
