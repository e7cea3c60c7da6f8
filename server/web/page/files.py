"""The page's files, read once, with their media types and tags."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


class File(NamedTuple):
    """One file as it is sent."""

    body: bytes
    media_type: str
    tag: str
    """An ETag: it changes with the body."""


def read_files() -> dict[str, File]:
    """All of them, by name."""
    return {path.name: _read(path.read_bytes(), _TYPES[path.suffix]) for path in sorted(_FOLDER.iterdir())}


def index(template: File, tabs: tuple[str, ...]) -> File:
    """The page itself, with the views that are served here."""
    body = template.body.replace(b"TABS", " ".join(tabs).encode()).replace(b"VERSION", version("tureen").encode())
    return _read(body, template.media_type)


def explanations(files: dict[str, File]) -> dict[str, str]:
    """What to do about each problem, by its code."""
    return msgspec.json.decode(files["codes.json"].body, type=dict[str, str])


def _read(body: bytes, media_type: str) -> File:
    return File(body, media_type, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')
