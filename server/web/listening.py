"""What the engine's process hears from the fronts."""

from collections.abc import Callable

import msgspec
import structlog

from server.web.metrics import Metrics
from server.web.runtime import Runtime
from server.web.tally import Ending, Tallied, Unready, decode, replay
from server.web.uploads import Uploads

log = structlog.stdlib.get_logger("tureen.web")


class Listening:
    """Does what the notes of fronts say."""

    def __init__(
        self, runtime: Runtime, metrics: Metrics, uploads: Uploads, note_refusals: Callable[[str, int], None]
    ) -> None:
        """`note_refusals`: of the batcher that refused others like them."""
        self._note_refusals = note_refusals
        self._runtime = runtime
        self._metrics = metrics
        self._uploads = uploads

    def hear(self, payload: bytes) -> None:
        """One note."""
        try:
            note = decode(payload)
        except msgspec.MsgspecError as error:
            log.error("note_garbled", reason=str(error))
            return
        match note:
            case Tallied():
                lanes = self._runtime.status().lanes if note.observed else ()
                replay(
                    note, self._metrics, {(lane.model, lane.version): lane.metadata for lane in lanes if lane.metadata}
                )
            case Unready():
                self._runtime.drain()
            case Ending(within_s):
                self._uploads.end_within(within_s)
