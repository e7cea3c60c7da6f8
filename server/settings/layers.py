"""What each source says, and how they are merged: the first source that names a setting wins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from server.settings.described import SETTINGS
from server.settings.fields import Settings


@dataclass(frozen=True, slots=True)
class Given:
    """One value as it was given, and where."""

    value: object
    origin: str


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says: values by the names of settings, and messages about what is no setting at all."""

    given: Mapping[str, Given] = field(default_factory=dict)
    problems: Sequence[str] = ()


def merged(layers: Sequence[Mapping[str, Given]]) -> Settings:
    """Take each setting from the first layer that has it, and check them all.

    Raises:
        ValidationError: with every broken rule.
    """
    # Imported here: it costs as much as the rest of the command, and neither --help nor a child needs it.
    from pydantic_settings import (
        BaseSettings,
        InitSettingsSource,
        PydanticBaseSettingsSource,
        SettingsConfigDict,
    )

    class Layered(BaseSettings):
        model_config = SettingsConfigDict(extra="allow")

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: object, **__: object
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            plain = ({name: given.value for name, given in layer.items()} for layer in layers)
            return tuple(InitSettingsSource(settings_cls, values) for values in plain)

    return Settings.model_validate(_nested(Layered().model_extra or {}))


def _nested(flat: Mapping[str, object]) -> Mapping[str, object]:
    """Values by setting, put into their topics."""
    nested: dict[str, object] = {name: value for name, value in flat.items() if not SETTINGS[name].table}
    for table in dict.fromkeys(setting.table for setting in SETTINGS.values() if setting.table):
        nested[table] = {name: value for name, value in flat.items() if SETTINGS[name].table == table}
    return nested


def broken_rules(error: ValidationError, layers: Sequence[Mapping[str, Given]]) -> list[str]:
    """Name each value that breaks its rule, where it came from, and the rule."""
    problems = []
    for broken in error.errors(include_url=False):
        setting = next(SETTINGS[str(part)] for part in reversed(broken["loc"]) if part in SETTINGS)
        given = next((layer[setting.name] for layer in layers if setting.name in layer), None)
        where = f"{given.value!r} ({given.origin})" if given else f"{setting.default} (default)"
        reason = broken.get("ctx", {}).get("error", "")  # ours; bounds need none, the rule says it
        problems.append(f"{setting.name} = {where}: must be {setting.full_rule}" + (f"; {reason}" if reason else ""))
    return problems
