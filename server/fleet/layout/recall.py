"""Finding the profiles that count for a model here."""

from pathlib import Path

from server.fleet.layout.machine import Key, key_for


def sought(folder: Path, model: Path, provider: str) -> Key | None:
    """The key of the profiles that count for the model at `model` (a file or a folder); None if there are none.

    Reads the whole model file, if there is any profile at all.
    """
    try:
        if not any(folder.glob("*.json")):
            return None
    except OSError:  # no such folder, or one that is not ours to read: then there is no profile
        return None
    from server.models.card import find_model  # these two only now: most servers have no profile at all
    from server.models.digest import digest
    from server.models.errors import ModelError

    try:
        return key_for(digest(find_model(model).model_file), provider)
    except (ModelError, OSError):  # the workers will meet it too, and say what it is
        return None
