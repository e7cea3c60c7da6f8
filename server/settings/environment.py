"""Settings from the environment: our own variables, and the system's conventions."""

import os
from collections.abc import Iterable, Mapping

from server.settings.described import PREFIX, SETTINGS
from server.settings.errors import did_you_mean
from server.settings.layers import Given, Layer


def from_variables(environ: Mapping[str, str]) -> Layer:
    """Read our own variables, `TUREEN_CONFIG` included."""
    names = {PREFIX + "CONFIG": "config"} | {setting.variable: name for name, setting in SETTINGS.items()}
    ours = sorted(name for name in environ if name.startswith(PREFIX))
    return Layer(
        {names[key]: Given(environ[key], f"variable {key}") for key in ours if key in names},
        [_unknown_variable(key, names) for key in ours if key not in names],
    )


def _unknown_variable(variable: str, known: Iterable[str]) -> str:
    # Its value is not shown: a misspelt name may hold a secret.
    if variable == PREFIX + "SERVICE_HOST":
        hint = "; Kubernetes sets it for a Service named tureen: put enableServiceLinks: false in the pod's spec"
    else:
        hint = did_you_mean(variable, known)
    return f"{variable} (environment): no such setting{hint}"


def from_system(environ: Mapping[str, str]) -> Layer:
    """Read the system's own conventions; they come last."""
    if not os.path.isabs(cache := environ.get("XDG_CACHE_HOME", "")):  # its specification: others are ignored
        return Layer()
    return Layer({"profile_dir": Given(os.path.join(cache, "tureen"), "variable XDG_CACHE_HOME")})
