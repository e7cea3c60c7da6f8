"""Settings that cannot be together."""

import pytest

from server.settings import SettingsError, load_settings
from server.settings.conflicts import check

URL = "https://sqs.eu-west-1.amazonaws.com/1/q"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workers=0"], "needs --forward"),
        ([f"--forward={URL}", "--store=/tmp/x"], "needs --workers 0"),
        (["--workers=0", f"--forward={URL}"], "needs --store"),
        ([f"--consume={URL}"], "needs --store or --results"),
        ([f"--consume={URL}", "--workers=0", f"--forward={URL}", "--store=/tmp/x"], "cannot be together"),
        (["--require-auth"], "needs --keys"),
    ],
)
def test_a_conflict_is_told(words, said):
    """With what would be right."""
    with pytest.raises(SettingsError, match=said):
        check(load_settings(words, {}))


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--workers=0", f"--forward={URL}", "--store=/tmp/x"],
        [f"--consume={URL}", f"--results={URL}"],
    ],
)
def test_what_can_be_together_is_taken(words):
    """As it is."""
    settings = load_settings(words, {})

    assert settings is check(settings)
