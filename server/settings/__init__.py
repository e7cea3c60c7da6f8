"""The settings: the only package that reads flags, environment variables and TOML.

`fields` is the list, `values` what a value may be, `described` what users are told about each. `flags`, `environment`
and `toml_file` each say what one source gives; `layers` puts them together; `load` does it all.

Everything that is wrong is reported at once, each with its name, value, origin and rule, and nothing starts
until all is right. Afterwards the settings never change; a child process gets them as JSON and reads no
environment itself.
"""

from server.settings.described import SETTINGS, Setting
from server.settings.errors import SettingsError
from server.settings.fields import Settings, Topic
from server.settings.flags import add_arguments
from server.settings.load import load_settings

__all__ = ["SETTINGS", "Setting", "Settings", "SettingsError", "Topic", "add_arguments", "load_settings"]
