"""/v1/models/{name}/rollout for operators: beginning a rollout, watching it, and taking part."""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Route

from server.engine.models import Models
from server.rollout import state as rollouts
from server.rollout.plan import NAMED, Plan, PlanError, plan_of, read_plan
from server.rollout.state import BadPlan, Rollout
from server.rollout.steering import Steering
from server.rollout.view import view
from server.web.errors import RequestError

BODY = "tureen.body"
"""Where the scope of a request for admins has its body."""

_STANDARD = "standard"
_OPERATOR = "the operator said so"

_CHANGES: dict[str, Callable[[Rollout, float], Rollout]] = {
    "pause": rollouts.paused,
    "resume": rollouts.resumed,
    "promote": rollouts.promoted,
    "rollback": lambda rollout, now: rollouts.rolled_back(rollout, now, _OPERATOR),
}


class _Start(msgspec.Struct, forbid_unknown_fields=True):
    """What begins a rollout. `plan`: a name, TOML, or JSON."""

    version: str
    plan: Any = _STANDARD


class Rollouts:
    """The resources. Each raises `StateError` for a model that is not there; those that change something also
    `RolloutError`, `LoadFailed`, `StoreFailed`, and answer with the rollout as it is then."""

    def __init__(self, models: Models, steering: Steering) -> None:
        self._models = models
        self._steering = steering

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/v1/models/{name}/rollout", self.one, methods=["GET", "POST"]),
            Route("/v1/models/{name}/rollout/{change}", self.change, methods=["POST"]),
        ]

    async def one(self, request: StarletteRequest) -> Response:
        """GET: as `show`. POST: as `begin`."""
        return await (self.begin if request.method == "POST" else self.show)(request)

    async def show(self, request: StarletteRequest) -> Response:
        """How far it is. Raises `RequestError` not_found where there has been none."""
        name = request.path_params["name"]
        rollout = self._steering.rollout(name, self._models.state(name))
        if rollout is None:
            raise RequestError("not_found")
        return self._response(rollout)

    async def begin(self, request: StarletteRequest) -> Response:
        """Begin one: loads the version first, which may take long."""
        try:
            start = msgspec.json.decode(request.scope[BODY], type=_Start)
            plan = _plan(start.plan)
        except (msgspec.MsgspecError, PlanError) as error:
            raise BadPlan(str(error)) from None
        rollout = await self._steering.begin(self._models, request.path_params["name"], start.version, plan)
        return self._response(rollout)

    async def change(self, request: StarletteRequest) -> Response:
        """Pause, resume, promote or roll back."""
        change = _CHANGES.get(request.path_params["change"])
        if change is None:
            raise RequestError("not_found")
        return self._response(await self._steering.change(self._models, request.path_params["name"], change))

    def _response(self, rollout: Rollout) -> Response:
        document = view(rollout, self._models.wall_s())
        return Response(msgspec.json.encode(document), media_type="application/json")


def _plan(given: object) -> Plan:
    """Raises `PlanError`."""
    if isinstance(given, str):
        return read_plan(NAMED.get(given, given))
    return plan_of(given)
