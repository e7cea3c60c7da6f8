"""Which pictures are sent, and what the right answers to them are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from server.commands.bench.photos import photo

_OWN = {(320, 240): 6, (1024, 768): 6, (4000, 3000): 2}  # (pixels wide, high): how many different ones
_IMAGES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".heic", ".heif", ".avif", ".bmp", ".tif", ".tiff"}


class BadInput(Exception):
    """Pictures or labels that cannot be used; the message says which and why."""


def own_pictures(folder: Path) -> list[Path]:
    """Small, medium and phone-size pictures, made in `folder`: each size is sent as often as the next."""
    most = max(_OWN.values())
    paths = []
    for (width, height), count in _OWN.items():
        for seed in range(most):
            path = folder / f"{width}x{height}-{seed % count}.jpg"
            if seed < count:
                path.write_bytes(photo(width, height, seed))
            paths.append(path)
    return paths


def pictures_in(folder: Path) -> list[Path]:
    """The image files of a folder, by name. Raises `BadInput` if there are none."""
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _IMAGES and path.is_file())
    except OSError as error:
        raise BadInput(f"--images {folder}: {error.strerror}") from None
    if not found:
        raise BadInput(f"--images {folder}: no image file in it ({', '.join(sorted(_IMAGES))})")
    return found


def expected_labels(file: Path, pictures: Sequence[Path]) -> list[str | None]:
    """The label for each picture, None where the file has none. Raises `BadInput`."""
    try:
        labels = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"--expect {file}: {error}") from None
    if not isinstance(labels, dict) or not all(isinstance(label, str) for label in labels.values()):
        raise BadInput(f'--expect {file}: must be like {{"photo.jpg": "label"}}')
    if unknown := labels.keys() - {path.name for path in pictures}:
        raise BadInput(f"--expect {file}: no such picture: {', '.join(sorted(unknown))}")
    if not labels:
        raise BadInput(f"--expect {file}: names no picture")
    return [labels.get(path.name) for path in pictures]
