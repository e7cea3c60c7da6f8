"""The libraries that are reached into fit in one version each, which is checked when they are used."""

from collections.abc import Mapping
from importlib.metadata import version


class WrongVersion(Exception):
    """A library is not the version that this server fits."""


def require(versions: Mapping[str, str]) -> None:
    """Raises `WrongVersion` where a library is installed in another version. pyproject.toml pins the same ones."""
    for name, wanted in versions.items():
        if (installed := version(name)) != wanted:
            raise WrongVersion(f"{name} is {installed}, and this server needs {wanted}: pip install {name}=={wanted}")
