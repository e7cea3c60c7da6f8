"""POST /v1/images/{id}/outcome: what became of an answer, for experiments."""

import math
import re
from typing import Final

import anyio
import msgspec
from starlette.responses import Response

from server.cleanup.item import is_id
from server.cleanup.reading import Missing, Note, ask
from server.experiments.exposures import METRIC, Outcome
from server.web.errors import RequestError
from server.web.keeping import Keeping
from server.web.records import reader_of
from server.web.request import Request
from server.web.small_body import read_small

PATH: Final = re.compile(r"/v1/images/([^/]{1,64})/outcome")
_AT_A_TIME = 8  # questions to clean-up; the others wait


class Outcomes:
    """The resource. An outcome lies beside the record of its image, and goes with it."""

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping
        self._limiter = anyio.CapacityLimiter(_AT_A_TIME)

    async def post(self, request: Request) -> Response:
        """204 once it is stored; the same metric again replaces it.

        Raises `RequestError` bad_outcome, not_found, body_too_large; `Unavailable`.
        """
        found = PATH.fullmatch(request.scope["path"])
        if found is None or not is_id(found[1]):
            raise RequestError("not_found")
        outcome = _outcome(await read_small(request))
        keeping, id_, owner = self._keeping, found[1], reader_of(request.principal, others=True).owner
        await keeping.spool.flush()
        async with self._limiter:
            reply, _ = await ask(keeping.spool.folder, Note(id_, owner, outcome.metric, outcome.value))
        if isinstance(reply, Missing):
            raise RequestError("not_found")
        return Response(status_code=204)


def _outcome(body: bytes) -> Outcome:
    try:
        outcome = msgspec.json.decode(body, type=Outcome)
    except msgspec.MsgspecError:
        raise RequestError("bad_outcome") from None
    if not re.fullmatch(METRIC, outcome.metric) or not math.isfinite(outcome.value):
        raise RequestError("bad_outcome")
    return outcome
