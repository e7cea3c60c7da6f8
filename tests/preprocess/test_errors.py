"""The errors about an image."""

import re

import pytest

from preprocess import ImageError, TooManyPixels

LEAVES = ImageError.__subclasses__()


def test_the_base_is_never_raised():
    """Each failure has a name of its own, so the base refuses to be made."""
    with pytest.raises(TypeError, match="subclasses"):
        ImageError()


def test_codes_are_stable():
    """Clients branch on these words: a change here breaks them."""
    expected = {
        "image_empty",
        "not_an_image",
        "unsupported_format",
        "too_many_pixels",
        "image_truncated",
        "image_corrupt",
        "image_too_costly",
    }

    assert expected == {leaf.code for leaf in LEAVES}


@pytest.mark.parametrize("leaf", LEAVES)
def test_each_error_says_one_sentence(leaf):
    """The text of an error reads as one sentence."""
    assert re.fullmatch(r"[A-Z][^.]*\.", str(leaf()))


def test_a_sentence_can_be_more_precise():
    """Whoever knows more may say it in place of the default sentence."""
    assert str(TooManyPixels("Too big.")) == "Too big."
