"""PUT /v1/images/{id}: an image is answered once, however often it is sent under its id."""

from server.cleanup.item import is_id
from server.web.errors import RequestError
from server.web.images import Images
from server.web.request import Request
from server.web.response import RawResponse
from server.web.runtime import Runtime, owner_of
from server.web.sent import Sent
from server.web.terms import read_terms

_NEAR_S = 24 * 3600.0  # between the time in a client's id and now


class Puts:
    """The resource /v1/images/{id}, as far as images are sent to it."""

    def __init__(self, runtime: Runtime, images: Images, sent: Sent) -> None:
        self._runtime = runtime
        self._images = images
        self._sent = sent

    async def put(self, request: Request) -> RawResponse:
        """Answer one image under the id that its client gives it; sent again, it is answered as before.

        Raises and cancellation as `Images.post`; `RequestError` bad_image_id, id_taken; `Unavailable` where what was
        stored cannot be looked up.
        """
        id_ = request.scope["path_params"]["id"]
        if not is_id(id_) or not self._is_near(id_):
            raise RequestError("bad_image_id")
        account = owner_of(request.principal).account
        terms = read_terms(request.headers)
        with self._images.reserve(request) as reservation:
            task, due = await self._images.read(request, terms, reservation)
            with self._sent.under_way(id_, task.body) as hash_:
                if earlier := await self._sent.find(id_, hash_, account):
                    return RawResponse(200, [(b"content-type", b"application/json")], earlier)
                reservation.release()  # CORRECTNESS: no await before submit has queued the bytes
                answered = await self._images.answer(task, request, terms, due, id_)
            self._sent.note(answered, account)
        return answered.response

    def _is_near(self, id_: str) -> bool:
        """Whether its time is about now: names in the store begin with it."""
        made_s = int(id_[:8] + id_[9:13], 16) / 1000
        return abs(self._runtime.wall_s() - made_s) < _NEAR_S
