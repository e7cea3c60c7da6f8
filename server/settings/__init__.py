"""The settings: the only package that reads flags, environment variables and TOML.

`topics` and `fields` are the list, `values` what a value may be, `described` what users are told about each. `flags`,
`environment` and `toml_file` each read one source; `layers` merges them; `load` does it all. `derived` gives the limits
that follow from the machine where no setting gives them.

All mistakes are reported at once, each with name, value, origin and rule, and nothing starts until none is left.
Afterwards the settings never change. A child process gets them as JSON and reads no environment itself.
"""

from server.settings.described import SETTINGS, Setting
from server.settings.errors import SettingsError
from server.settings.fields import Settings
from server.settings.flags import add_arguments
from server.settings.load import load_settings
from server.settings.topics import (
    AuthSettings,
    QueueSettings,
    ServerSettings,
    TlsSettings,
    UploadSettings,
    WorkerSettings,
)

__all__ = [
    "SETTINGS",
    "AuthSettings",
    "QueueSettings",
    "ServerSettings",
    "Setting",
    "Settings",
    "SettingsError",
    "TlsSettings",
    "UploadSettings",
    "WorkerSettings",
    "add_arguments",
    "load_settings",
]
