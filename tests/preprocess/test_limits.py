"""The limits on one image."""

from dataclasses import fields

import pytest

from preprocess import Limits


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_a_limit_below_one_is_refused(name):
    """A limit of nothing would refuse every image: the message names field, value and rule."""
    with pytest.raises(ValueError, match=f"{name} must be >= 1, got 0"):
        Limits(**{name: 0})
