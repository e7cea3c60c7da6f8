"""The documentation says what the code does: compared here, so that neither changes alone."""

import re
import tomllib
from pathlib import Path

import pytest

from server.settings import SETTINGS, Settings, SettingsError, load_settings

PAGE = (Path(__file__).parents[1] / "docs" / "settings.md").read_text(encoding="utf-8")


def documented() -> dict[str, str]:
    """Give the line of facts under each setting's heading, by the setting's name."""
    return dict(re.findall(r"^### `(\w+)`\n\n(.+)$", PAGE, re.MULTILINE))


def example() -> str:
    """Give the example file, its commented keys included."""
    (toml,) = re.findall(r"^```toml\n(.+?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return toml


def test_the_page_documents_exactly_the_settings_there_are():
    """No setting is missing from the page, none is invented, and they stand in the order of the help."""
    assert list(SETTINGS) == list(documented())


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_a_setting_is_documented_as_it_is(setting):
    """Default and rule on the page are those of the code; flag and variable are the key's, as the page says."""
    facts = f"Default: {setting.default} · {setting.rule}"

    assert facts == documented()[setting.name]


def test_the_page_explains_every_setting():
    """Under its facts each setting has at least a sentence of its own."""
    bare = re.findall(r"^### `(\w+)`\n\n.+\n\n(?!\w)", PAGE, re.MULTILINE)

    assert bare == []


def test_the_example_file_gives_the_defaults():
    """Who copies the example changes nothing."""
    assert Settings() == Settings.model_validate(tomllib.loads(example()))


def test_the_example_file_shows_every_key():
    """Each setting stands in the example under its table, as a comment where its default is no fixed value."""
    keys, table = [], ""
    for heading, key in re.findall(r"^\[(\w+)\]$|^(?:# )?(\w+) = ", example(), re.MULTILINE):
        table = heading or table
        keys += [f"{table}.{key}" if table else key] if key else []

    assert [setting.key for setting in SETTINGS.values()] == keys


def test_the_example_mistake_is_reported_as_shown():
    """The error on the page is the error a user gets."""
    with pytest.raises(SettingsError) as caught:
        load_settings(["--port", "99999"], {"TUREEN_SLO": "0"})

    assert f"$ TUREEN_SLO=0 tureen serve --port 99999\n{caught.value}\n" in PAGE
