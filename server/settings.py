"""The settings: the only module that reads flags, environment variables and TOML.

`Settings` is the one list. Flags, variables, TOML keys, help and error texts are all derived from its fields,
and a setting is added by adding a field (and a section in docs/settings.md, which a test compares with it).

Everything that is wrong is reported at once, each with its name, value, origin and rule, and nothing starts
until all is right. Afterwards the settings never change; a child process gets them as JSON and reads no
environment itself.
"""

import argparse
import difflib
import os
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo

from server.setting_values import (
    Bytes,
    Count,
    Folder,
    Host,
    HttpServer,
    Model,
    OnOff,
    OptionalBytes,
    OptionalCount,
    Pixels,
    Precision,
    Provider,
    Seconds,
)
from server.units import HOUR, MB, MINUTE, SIZE, SWITCH, Kind

__all__ = ["SETTINGS", "Setting", "Settings", "SettingsError", "Topic", "add_arguments", "load_settings"]

PREFIX = "TUREEN_"


class SettingsError(Exception):
    """Settings that cannot be used; the message lists all of them and is ready to print."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = "1 setting is" if len(self.problems) == 1 else f"{len(self.problems)} settings are"
        super().__init__("\n  ".join((f"tureen: {count} wrong:", *self.problems)))


# ---- The list ----


class Topic(Enum):
    """The headings under which the help and the documentation list the settings."""

    ADDRESS = "address"
    MODEL = "model"
    PROMISE = "promise"
    LIMITS = "limits"
    LIFE = "life"
    LOGS = "logs"


@dataclass(frozen=True, slots=True)
class _Words:
    """Words for what a field's type and default cannot say."""

    default: str = ""
    rule: str = ""


class Settings(BaseModel):
    """Every setting of the server, checked and frozen.

    Durations are seconds, sizes bytes. `model_dump_json` and `model_validate_json` carry it to a child.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    host: Annotated[Host, Topic.ADDRESS] = Field("127.0.0.1", description="address to listen on")
    port: Annotated[Count, Topic.ADDRESS] = Field(
        8080, ge=0, le=65535, description="TCP port to listen on (0 takes any free one)"
    )
    http_server: Annotated[HttpServer, Topic.ADDRESS] = Field(
        "hypercorn", description="what speaks HTTP (uvicorn costs less a request, which tells on cheap models)"
    )

    model: Annotated[Model, Topic.MODEL, _Words(default="the demo model")] = Field(None, description="what answers")
    provider: Annotated[Provider, Topic.MODEL] = Field("auto", description="what computes")
    device: Annotated[Count, Topic.MODEL] = Field(0, ge=0, le=1023, description="index of the GPU, where one computes")
    gpu_memory_limit: Annotated[OptionalBytes, Topic.MODEL, _Words(default="all there is")] = Field(
        None, ge=1, description="memory of the GPU that each worker's model may take"
    )
    cuda_graphs: Annotated[OnOff, Topic.MODEL] = Field(
        default=False, description="record the model on the GPU once for each batch size, and replay it"
    )
    precision: Annotated[Precision, Topic.MODEL] = Field(
        "model", description="what a GPU computes in: as the model is, or in float16 if that answers the same"
    )
    workers: Annotated[OptionalCount, Topic.MODEL, _Words(default="what was measured to be best, or one on a GPU")] = (
        Field(None, ge=1, description="inference processes")
    )
    threads: Annotated[OptionalCount, Topic.MODEL, _Words(default="what was measured to be best")] = Field(
        None, ge=1, le=1024, description="threads with which each of them runs the model on a CPU"
    )
    profile_dir: Annotated[Folder, Topic.MODEL, _Words(default="tureen in $XDG_CACHE_HOME, or ~/.cache/tureen")] = (
        Field(None, description="where tureen tune leaves what it measured, and tureen serve finds it")
    )
    max_batch: Annotated[Count, Topic.MODEL] = Field(
        32, ge=1, le=1024, description="images in the largest batch (measurement decides the size up to it)"
    )

    slo: Annotated[Seconds, Topic.PROMISE] = Field(
        1.0,
        gt=0,
        le=10 * MINUTE,
        description="every image is answered within this time of its last byte "
        "(a client may name a deadline of its own)",
    )

    max_queue: Annotated[Count, Topic.LIMITS] = Field(1024, ge=1, description="images that may wait for a worker")
    max_image_bytes: Annotated[Bytes, Topic.LIMITS] = Field(20 * MB, ge=1, description="largest image, encoded")
    # CORRECTNESS: after max_image_bytes, since it is checked against it and fields are checked in this order.
    max_queue_bytes: Annotated[Bytes, Topic.LIMITS, _Words(rule="not below max_image_bytes")] = Field(
        256 * MB, ge=1, description="encoded bytes held for all images, each from its admission to its answer"
    )
    max_pixels: Annotated[Pixels, Topic.LIMITS] = Field(
        50_000_000, ge=1, description="largest image, width times height"
    )
    upload_timeout: Annotated[Seconds, Topic.LIMITS] = Field(
        30.0, gt=0, le=24 * HOUR, description="time within which the whole body must arrive"
    )

    min_upload_rate: Annotated[Bytes, Topic.LIMITS] = Field(
        1000, ge=1, description="bytes a second that a body must bring, on average, after its first five seconds"
    )
    max_connections: Annotated[Count, Topic.LIMITS] = Field(
        10_000, ge=1, description="open connections (fewer where the system allows fewer open files)"
    )

    max_worker_growth: Annotated[Bytes, Topic.LIMITS] = Field(
        1000 * MB, ge=1, description="memory by which a worker may outgrow its start before it is replaced"
    )

    keep_alive: Annotated[Seconds, Topic.LIFE] = Field(
        75.0, gt=0, le=24 * HOUR, description="time an idle connection is kept open"
    )
    drain_delay: Annotated[Seconds, Topic.LIFE] = Field(
        5.0, ge=0, le=24 * HOUR, description="time after SIGTERM in which it is not ready but still serves"
    )
    shutdown_timeout: Annotated[Seconds, Topic.LIFE] = Field(
        30.0, gt=0, le=24 * HOUR, description="time after SIGTERM by which everything has ended"
    )

    access_log: Annotated[OnOff, Topic.LOGS] = Field(
        default=False, description="log every request, not only what goes wrong"
    )

    @field_validator("max_queue_bytes")
    @classmethod
    def _one_image_fits(cls, value: int, info: ValidationInfo) -> int:
        """Refuse a budget in which the largest allowed image would never fit."""
        largest = info.data.get("max_image_bytes", 0)  # absent when it is itself wrong
        if value < largest:
            raise ValueError(f"max_image_bytes is {SIZE.show(largest)}")
        return value

    @property
    def profile_folder(self) -> Path:
        """`profile_dir`, or where it is if nobody says."""
        return self.profile_dir or Path(os.path.expanduser("~/.cache/tureen"))


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
        return _flag(self.name)

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name.upper()


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _described(name: str, info: FieldInfo) -> Setting:
    words = next((data for data in info.metadata if isinstance(data, _Words)), _Words())
    kind = next(data for data in info.metadata if isinstance(data, Kind))
    return Setting(
        name=name,
        topic=next(data for data in info.metadata if isinstance(data, Topic)),
        kind=kind,
        meaning=info.description or "",
        default=words.default or kind.show(info.default),
        rule=_rule(kind, info, words),
    )


def _rule(kind: Kind, info: FieldInfo, words: _Words) -> str:
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


# ---- Where values come from ----


@dataclass(frozen=True, slots=True)
class _Given:
    """One value as somebody gave it, and who did."""

    value: object
    origin: str


@dataclass(frozen=True, slots=True)
class _Layer:
    """What one source says: values by setting, and what in it is no setting at all."""

    given: Mapping[str, _Given] = field(default_factory=dict)
    problems: Sequence[str] = ()


def load_settings(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings: flags before environment before file before default.

    Args:
        argv: the flags, without the command's name.
        environ: the environment; None reads this process's own.

    Raises:
        SettingsError: if anything is unknown, unreadable or outside its rule. It lists all that is wrong.
    """
    environ = os.environ if environ is None else environ
    flags = _from_flags(argv)
    variables = _from_variables(environ)
    config = flags.given.get("config") or variables.given.get("config")
    layers = (flags, variables, _from_file(config) if config else _Layer(), _from_system(environ))
    given = [{name: layer.given[name] for name in layer.given if name != "config"} for layer in layers]
    problems = [problem for layer in layers for problem in layer.problems]
    try:
        settings = _merged(given)
    except ValidationError as error:
        raise SettingsError([*problems, *_broken_rules(error, given)]) from None
    if problems:
        raise SettingsError(problems)
    return settings


_ALONE_MEANS_ON: Mapping[str, Any] = {"nargs": "?", "const": "on"}  # of a switch's flag


def add_arguments(parser: argparse.ArgumentParser, only: Collection[str] | None = None) -> None:
    """Give the parser a flag for each setting, or for those named in `only`, under a heading for each topic.

    The flags only collect text: what it means, and whether it is right, `load_settings` says.
    """
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help=f"TOML file to read settings from, a key for each ({PREFIX}CONFIG)",
    )
    for topic in Topic:
        group = parser.add_argument_group(topic.value)
        for setting in SETTINGS.values():
            if setting.topic is topic and (only is None or setting.name in only):
                group.add_argument(
                    setting.flag,
                    dest=setting.name,
                    metavar=setting.kind.metavar,
                    **_ALONE_MEANS_ON if setting.kind is SWITCH else {},
                    default=argparse.SUPPRESS,
                    help=_help(setting).replace("%", "%%"),
                )


def _help(setting: Setting) -> str:
    return f"{setting.meaning}: {setting.rule}; default: {setting.default}; {setting.variable}"


class _Flags(argparse.ArgumentParser):
    """A parser that raises where argparse would print and exit."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError([message])


def _from_flags(argv: Sequence[str]) -> _Layer:
    parser = _Flags(add_help=False, allow_abbrev=False)  # an abbreviation breaks when a setting is added
    add_arguments(parser)
    try:
        known, unknown = parser.parse_known_args(argv)
    except SettingsError as error:
        return _Layer(problems=error.problems)
    flags = {name: _Given(value, f"flag {_flag(name)}") for name, value in vars(known).items()}
    return _Layer(flags, _unknown_words(unknown))


def _unknown_words(words: Sequence[str]) -> list[str]:
    """Report words that are no flag; a word after an unknown flag is taken for its value and not repeated."""
    names = [word.partition("=")[0] for word in words if word.startswith("-")] or words
    flags = ["--config", *(setting.flag for setting in SETTINGS.values())]
    return [f"{name} (command line): no such flag{_did_you_mean(name, flags)}" for name in names]


def _from_variables(environ: Mapping[str, str]) -> _Layer:
    names = {PREFIX + "CONFIG": "config"} | {setting.variable: name for name, setting in SETTINGS.items()}
    ours = sorted(name for name in environ if name.startswith(PREFIX))
    return _Layer(
        {names[key]: _Given(environ[key], f"variable {key}") for key in ours if key in names},
        [_unknown_variable(key, names) for key in ours if key not in names],
    )


def _unknown_variable(variable: str, known: Iterable[str]) -> str:
    # Its value is not shown: a misspelt name may hold a secret.
    if variable == PREFIX + "SERVICE_HOST":
        hint = "; Kubernetes sets it for a Service named tureen: put enableServiceLinks: false in the pod's spec"
    else:
        hint = _did_you_mean(variable, known)
    return f"{variable} (environment): no such setting{hint}"


def _from_file(config: _Given) -> _Layer:
    try:
        with open(str(config.value), "rb") as file:
            table = tomllib.load(file)
    except (OSError, ValueError) as error:  # ValueError: not TOML, not UTF-8, or no path
        rule = f"must be a TOML file that can be read; {error}"
        return _Layer(problems=[f"config = {config.value!r} ({config.origin}): {rule}"])
    origin = f"in {config.value}"
    return _Layer(
        {key: _Given(value, f"key {key} {origin}") for key, value in table.items() if key in SETTINGS},
        [
            f"{key} (key {origin}): no such setting{_did_you_mean(key, SETTINGS)}"
            for key in table
            if key not in SETTINGS
        ],
    )


def _from_system(environ: Mapping[str, str]) -> _Layer:
    """What the system's own conventions say, after all that was said to us."""
    if not os.path.isabs(cache := environ.get("XDG_CACHE_HOME", "")):  # its specification: others are ignored
        return _Layer()
    return _Layer({"profile_dir": _Given(os.path.join(cache, "tureen"), "variable XDG_CACHE_HOME")})


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


# ---- Putting them together ----


def _merged(layers: Sequence[Mapping[str, _Given]]) -> Settings:
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

    return Settings.model_validate(Layered().model_extra)


def _broken_rules(error: ValidationError, layers: Sequence[Mapping[str, _Given]]) -> list[str]:
    problems = []
    for broken in error.errors(include_url=False):
        setting = SETTINGS[str(broken["loc"][0])]
        given = next((layer[setting.name] for layer in layers if setting.name in layer), None)
        where = f"{given.value!r} ({given.origin})" if given else f"{setting.default} (default)"
        reason = broken.get("ctx", {}).get("error", "")  # ours; bounds need none, the rule says it
        problems.append(f"{setting.name} = {where}: must be {setting.rule}" + (f"; {reason}" if reason else ""))
    return problems
