"""Damaged files of every format: an answer or an ImageError, and never a half-written slot for an error."""

import numpy as np
import pytest

from tests.preprocess.mutations import RECIPES, good_files, mutations, outcome

SEEDS, EACH = range(8), 500
FILES = good_files()


@pytest.mark.parametrize("seed", SEEDS)
def test_damage_gets_nothing_but_image_errors_out(seed):
    """Thousands of cuts, flips, overwritten numbers and splices: what is wrong is wrong with the image."""
    seen = set()
    for number, (_, data) in zip(range(EACH), mutations(FILES, seed), strict=False):
        recipe = RECIPES[number % 2]
        slot = np.full(recipe.shape, 77, recipe.dtype)
        code = outcome(data, recipe, slot)
        seen.add(code)

        assert code == "answered" or (slot == 77).all()

    assert {"answered", "image_corrupt", "image_truncated", "too_many_pixels", "unsupported_format"} <= seen


def test_the_same_seed_makes_the_same_damage():
    """A failure can be repeated."""
    first, second = (list(zip(range(50), mutations(FILES, 3), strict=False)) for _ in range(2))

    assert first == second
