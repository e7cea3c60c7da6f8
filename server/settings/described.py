"""What users are told about each setting: its names, its meaning, its default, its rule."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic.fields import FieldInfo

from server.settings.fields import Settings, Topic, Words
from server.settings.units import Kind

PREFIX = "TUREEN_"


@dataclass(frozen=True, slots=True)
class Setting:
    """What users are told about one field of `Settings`."""

    name: str  # the field, and the TOML key
    topic: Topic
    kind: Kind
    meaning: str
    default: str
    rule: str  # completes "must be ..."

    @property
    def flag(self) -> str:
        """The flag that sets it."""
        return flag_of(self.name)

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name.upper()


def flag_of(name: str) -> str:
    """The flag that sets the setting of this name."""
    return "--" + name.replace("_", "-")


def _described(name: str, info: FieldInfo) -> Setting:
    words = next((data for data in info.metadata if isinstance(data, Words)), Words())
    kind = next(data for data in info.metadata if isinstance(data, Kind))
    return Setting(
        name=name,
        topic=next(data for data in info.metadata if isinstance(data, Topic)),
        kind=kind,
        meaning=info.description or "",
        default=words.default or kind.show(info.default),
        rule=_rule(kind, info, words),
    )


def _rule(kind: Kind, info: FieldInfo, words: Words) -> str:
    """Say in one sentence what the field accepts, from the very bounds that are enforced."""
    bounds = {
        name: kind.show(getattr(data, name))
        for data in info.metadata
        for name in ("gt", "ge", "le")
        if hasattr(data, name)
    }
    match bounds:
        case {"ge": low, "le": high}:
            range_ = f" from {low} to {high}"
        case {"gt": low, "le": high}:
            range_ = f" above {low} and at most {high}"
        case {"ge": low}:
            range_ = f" of at least {low}"
        case _:
            range_ = ""
    rule = f"{kind.noun}{range_}" + (f", {words.rule}" if words.rule else "")
    return f"{rule} (such as {kind.examples})" if kind.examples else rule


SETTINGS: Mapping[str, Setting] = {
    name: _described(name, info) for name, info in Settings.model_fields.items()
}  # in the order of the fields
