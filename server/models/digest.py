"""What tells a model from any other: a digest of its file and of the weights beside it. Light: no ONNX Runtime."""

from pathlib import Path

import xxhash

from server.models.errors import ModelError
from server.models.external_data import external_files


def digest(model_file: Path) -> str:
    """XXH3-128 of the file, hex; where it has external data, of that as well, each with its name and size.

    Raises `OSError`, and `ModelError` if external data is missing or lies elsewhere.
    """
    state = xxhash.xxh3_128()
    _feed(state, model_file)
    for file in external_files(model_file):
        name = file.relative_to(model_file.parent)
        try:
            state.update(f"\0{name}\0{file.stat().st_size}\0".encode("utf-8", "surrogateescape"))
            _feed(state, file)
        except OSError as error:
            raise ModelError(f"its external data {str(name)!r} cannot be read: {error.strerror}") from error
    return state.hexdigest()


def _feed(state: xxhash.xxh3_128, path: Path) -> None:
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            state.update(chunk)
