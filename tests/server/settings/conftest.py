"""What the tests of settings share."""

import pytest


@pytest.fixture
def toml(tmp_path):
    """Write a settings file and give its path."""

    def write(text: str) -> str:
        path = tmp_path / "tureen.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write
