"""What is doubtful about how a card normalises pictures: nothing stops a server that feeds a model nonsense. Pure."""

from collections.abc import Sequence

import numpy as np

from preprocess.recipe import FLOATS, Recipe
from server.models.card_text import text_of
from server.models.output_spec import Output
from server.models.render import Row, as_answered

_FLAT, _WIDE, _WIDEST = 0.1, 16.0, 300.0  # between black and white; ImageNet's is 4.4, and bytes as they are 255
_CERTAIN = 0.999

_BRIGHT = "black and white come to {low:.4g} and {high:.4g}"


def doubts_of(recipe: Recipe) -> list[str]:
    """What cannot be meant, whatever the model: all pictures alike, or none near where values usually are."""
    if recipe.dtype not in FLOATS:
        return []
    low, high = _range(recipe)
    found = _BRIGHT.format(low=low, high=high)
    if high - low < _FLAT:
        return [f"{_given(recipe)}: {found}, so that all pictures look alike to the model"]
    if high - low > _WIDEST or min(abs(low), abs(high)) > 2 * (high - low):
        return [f"{_given(recipe)}: {found}; most models are trained with values between -3 and 3"]
    return []


def saturated(recipe: Recipe, rows: Sequence[Row], output: Output) -> list[str]:
    """Whether the model is certain of a class, or of a score of 0 or 1, whatever the picture, where values are larger
    than most models take. `rows`: of pictures like photos. `output` is resolved."""
    low, high = _range(recipe)
    if recipe.dtype not in FLOATS or high - low <= _WIDE or output.kind == "raw":
        return []
    if not rows or not all(_certain(as_answered(output, row)[0].astype(np.float64), output) for row in rows):
        return []
    found = _BRIGHT.format(low=low, high=high)
    return [f"{_given(recipe)}: {found}, and the model is certain of its answer whatever the picture: was it 0 to 1?"]


def _certain(values: np.ndarray, output: Output) -> bool:
    if output.kind == "classes":
        return bool(values.max() >= _CERTAIN)
    return output.activation == "sigmoid" and not 1 - _CERTAIN < values[0] < _CERTAIN


def _range(recipe: Recipe) -> tuple[float, float]:
    """What black and white become, of the channel in which they are the closest together or the farthest."""
    ends = [(summand + 0.0, 255 * factor + summand) for factor, summand in recipe.factors]
    return max(ends, key=lambda each: abs(np.log(each[1] - each[0])))


def _given(recipe: Recipe) -> str:
    return ", ".join(f"{name} = {text_of(getattr(recipe, name))}" for name in ("scale", "mean", "std"))
