"""What users are told about each setting: its names, its meaning, its default, its rule."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic.fields import FieldInfo

from server.settings.fields import Settings
from server.settings.topics import Shown, Topic
from server.units import Kind

PREFIX = "TUREEN_"
POSITIONAL = "model"
"""The one setting that a command line gives as an argument; its flag is accepted as well."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What users are told about one setting."""

    name: str
    table: str
    """The TOML table it belongs to; "" is the top of the file."""
    heading: str
    kind: Kind
    meaning: str
    default: str
    rule: str
    """Completes "must be ..."."""
    advanced: bool

    @property
    def flag(self) -> str:
        """The flag that sets it."""
        return flag_of(self.name)

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name.upper()

    @property
    def key(self) -> str:
        """The TOML key that sets it, with its table."""
        return f"{self.table}.{self.name}" if self.table else self.name

    @property
    def full_rule(self) -> str:
        """The rule with examples of the kind."""
        return f"{self.rule} (such as {self.kind.examples})" if self.kind.examples else self.rule


def flag_of(name: str) -> str:
    """The flag that sets the setting of this name."""
    return "--" + name.replace("_", "-")


def topics() -> Iterator[tuple[str, type[Topic]]]:
    """Each topic with the name of its table; the first is the top of the file."""
    yield "", Settings
    for name, info in Settings.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Topic):
            yield name, info.annotation


def _settings() -> Iterator[Setting]:
    tables = dict(topics())
    for table, topic in tables.items():
        for name, info in topic.model_fields.items():
            if table or name not in tables:  # a topic may have a setting of its own name
                yield _described(name, table, topic, info)


def _described(name: str, table: str, topic: type[Topic], info: FieldInfo) -> Setting:
    shown = next(data for data in info.metadata if isinstance(data, Shown))
    kind = next(data for data in info.metadata if isinstance(data, Kind))
    return Setting(
        name=name,
        table=table,
        heading=topic.heading,
        kind=kind,
        meaning=info.description or "",
        default=shown.default or kind.show(info.default),
        rule=_rule(kind, info, shown),
        advanced=shown.advanced,
    )


def _rule(kind: Kind, info: FieldInfo, shown: Shown) -> str:
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
    return f"{kind.noun}{range_}" + (f", {shown.rule}" if shown.rule else "")


SETTINGS: Mapping[str, Setting] = {setting.name: setting for setting in _settings()}  # in the order of the help
