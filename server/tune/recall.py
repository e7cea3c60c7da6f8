"""Finding the profile that counts for a model here."""

from pathlib import Path

from server.tune import profile as file
from server.tune.machine import key_for


def recall(folder: Path, model: Path, provider: str) -> file.Profile | None:
    """The profile of the model at `model` (a file or a folder) in `folder`; None if there is none.

    Reads the whole model file, if there is any profile at all. Raises `ProfileError`.
    """
    try:
        if not any(folder.glob("*.json")):
            return None
    except OSError:  # no such folder, or one that is not ours to read: then there is no profile
        return None
    from server.inference.card import find_model  # these two only now: most servers have no profile at all
    from server.inference.digest import digest
    from server.inference.errors import ModelError

    try:
        found = digest(find_model(model).model_file)
    except (ModelError, OSError):  # the workers will meet it too, and say what it is
        return None
    return file.read(folder, key_for(found, provider))
