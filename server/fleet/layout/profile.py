"""The file that `tureen tune` writes and `tureen serve` reads: JSON that people can read too.

One file a model, provider and what was asked for (`--workers 2` has a profile of its own), written to a file beside
it and moved into place, so that there is always a whole one or none. Whatever is wrong with one is said, and it is
ignored: a profile makes a start quicker, never impossible.
"""

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from server.fleet.layout.choose import LayoutRequest, Row
from server.fleet.layout.machine import Key, differences

FORMAT = 1
_LARGEST_BATCH = 1024  # as of `max_batch`
_LARGEST = 1_000_000  # bytes; one is a few thousand


class ProfileError(Exception):
    """A profile that is there and does not count; the message says why."""


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Layouts as they were measured. `when`: UTC, ISO 8601."""

    format: int = FORMAT
    name: str
    """The model's, for people: what counts is its digest."""
    when: str
    key: Key
    workers: int | None = None
    """What was measured is only layouts of so many workers, as asked."""
    threads: int | None = None
    """Likewise."""
    whole: bool = True
    """Whether every layout was looked at that there is, of those."""
    rows: tuple[Row, ...]

    @property
    def asked(self) -> LayoutRequest:
        return LayoutRequest(self.workers, self.threads)

    @property
    def date(self) -> str:
        return self.when[:10]


def now() -> str:
    """The time to write into a profile."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def path_of(folder: Path, key: Key, asked: LayoutRequest) -> Path:
    """Where the profile of that model on that provider lies, of layouts as asked."""
    parts = (key.model, key.provider, *(f"{name}-{number}" for name, number in asked.given.items()))
    return folder / f"{'-'.join(parts)}.json"


def read(folder: Path, key: Key, asked: LayoutRequest) -> Profile | None:
    """The profile for `key`, of layouts as asked; None if there is none. Raises `ProfileError` for one that does not
    count."""
    path = path_of(folder, key, asked)
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ProfileError(f"{path} cannot be read: {error.strerror}") from error
    profile = _decoded(text, path)
    if stale := differences(profile.key, key):
        raise ProfileError(f"{path} was measured elsewhere: {'; '.join(stale)}")
    return profile


def _decoded(text: bytes, path: Path) -> Profile:
    try:
        profile = msgspec.json.decode(text, type=Profile)
        datetime.fromisoformat(profile.when)
    except ValueError as error:  # of msgspec's as well
        raise ProfileError(f"{path} is damaged: {error}") from error
    if profile.format != FORMAT:
        raise ProfileError(f"{path} has format {profile.format}; this version reads {FORMAT}")
    if problem := next(
        filter(None, (_problem(profile, row) for row in profile.rows)), "" if profile.rows else "it has no rows"
    ):
        raise ProfileError(f"{path} is damaged: {problem}")
    return profile


def _problem(profile: Profile, row: Row) -> str:
    """What cannot have been measured: a server that believed it might start a thousand processes."""
    if min(row.workers, row.threads, row.batch) < 1:
        return "workers, threads and batch are at least 1"
    cpus = profile.key.cpus
    if row.workers > max(profile.workers or 0, cpus) or row.threads > max(profile.threads or 0, cpus):
        return f"{row.layout} is more than was asked for, or than {cpus} CPUs are for"
    if row.batch > _LARGEST_BATCH:
        return f"batch is at most {_LARGEST_BATCH}"
    if not (0 < row.rate < float("inf") and row.batch_s > 0 and row.lone_s > 0):
        return "rate, batch_s and lone_s are above 0"
    return ""


def better(folder: Path, profile: Profile) -> Profile | None:
    """The one that is there, if it counts and has every layout, and `profile` has not: a first look takes no long one's
    place."""
    try:
        there = read(folder, profile.key, profile.asked)
    except ProfileError:
        return None
    return there if there and there.whole and not profile.whole else None


def write(folder: Path, profile: Profile) -> Path:
    """Write it, whole or not at all; the path. Raises `OSError`."""
    path = path_of(folder, profile.key, profile.asked)
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(profile), indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's is its owner's alone: a server may run as another user
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path
