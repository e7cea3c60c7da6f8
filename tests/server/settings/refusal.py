"""Settings that are refused, for tests to look at what is said."""

import pytest

from server.settings import SettingsError, load_settings


def refusal(argv=(), environ=None):
    """Give what is wrong, one line each."""
    with pytest.raises(SettingsError) as caught:
        load_settings(argv, environ or {})
    return list(caught.value.problems)
