"""What is to be served of one model: one JSON document beside the model, followed by every replica. Pure.

    NAME/state.json     {"generation": 7, "default": "3", "previous": "2", "loaded": ["2", "4"], ...}

A document is never edited in place. Whoever changes it writes the next generation, and only if nobody else did.
"""

from typing import Any

import msgspec

from server.repository.errors import StateError, StoreFailed

FORMAT = 1


class ModelState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of one model. Versions are named by their folders."""

    format: int = FORMAT
    generation: int = 0
    """Rises by one with every write; 0 is the state before the first."""
    default: str = ""
    """The version that answers requests that name none."""
    previous: str = ""
    """The default before; `rollback` returns to it."""
    standby_until: float = 0.0
    """Until when `previous` stays loaded, in seconds since 1970."""
    loaded: tuple[str, ...] = ()
    """Further versions that every replica holds ready."""
    rollout: dict[str, Any] = {}
    """The rollout under way; whoever runs it knows what is in it."""
    experiment: dict[str, Any] = {}
    """The experiment under way, likewise."""

    def wanted(self, now: float) -> tuple[str, ...]:
        """Every version that a replica should hold at `now`, in seconds since 1970, the default first."""
        standby = (self.previous,) if now < self.standby_until else ()
        return tuple(filter(None, dict.fromkeys((self.default, *self.loaded, *standby))))


_decode = msgspec.json.Decoder(ModelState).decode
_encode = msgspec.json.Encoder().encode


def parse(data: bytes, where: str) -> ModelState:
    """The state in a document. Raises `StoreFailed` for one that this version cannot read."""
    try:
        state = _decode(data)
    except ValueError as error:  # of msgspec's as well
        raise StoreFailed(f"{where} is damaged: {error}") from None
    if state.format != FORMAT:
        raise StoreFailed(f"{where} has format {state.format}; this server reads {FORMAT}")
    return state


def dump(state: ModelState) -> bytes:
    """The document of a state, for people too."""
    return msgspec.json.format(_encode(state), indent=2) + b"\n"


def with_loaded(state: ModelState, version: str) -> ModelState:
    """One more version is held ready."""
    if version in (state.default, *state.loaded):
        return state
    return _replace(state, loaded=(*state.loaded, version))


def without(state: ModelState, version: str) -> ModelState:
    """A version is not held any more. Raises `StateError` for the default."""
    if version == state.default:
        raise StateError(f"version {version} answers requests: promote another one first")
    previous = "" if version == state.previous else state.previous
    loaded = tuple(one for one in state.loaded if one != version)
    return _replace(state, loaded=loaded, previous=previous, standby_until=state.standby_until if previous else 0.0)


def promoted(state: ModelState, version: str, now: float, standby_s: float) -> ModelState:
    """A version becomes the default. The old one stays loaded for `standby_s` seconds."""
    if version == state.default:
        return state
    loaded = tuple(one for one in state.loaded if one != version)
    return _replace(state, default=version, previous=state.default, standby_until=now + standby_s, loaded=loaded)


def rolled_back(state: ModelState, now: float, standby_s: float) -> ModelState:
    """The default before is the default again. Raises `StateError` if there is none."""
    if not state.previous:
        raise StateError("there is no previous version to return to")
    return promoted(state, state.previous, now, standby_s)


def next_generation(state: ModelState) -> ModelState:
    """The state as it is written."""
    return _replace(state, generation=state.generation + 1)


def _replace(state: ModelState, **changes: object) -> ModelState:
    return msgspec.structs.replace(state, **changes)
