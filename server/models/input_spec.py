"""What a card says about the model's input. Values and their rules only; `server.models.signature` fills in the rest.

Each key that is given replaces just that key of the recipe that is read off the model.
"""

from dataclasses import dataclass, fields
from typing import Any

from preprocess.recipe import Colour, Dtype, Fit, Layout, Recipe, Resample


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """The keys of a `Recipe` that the card gives; None: read off the model.

    Raises ValueError for a key that breaks the recipe's rule.
    """

    width: int | None = None
    height: int | None = None
    fit: Fit | None = None
    pad: tuple[int, int, int] | None = None
    resample: Resample | None = None
    layout: Layout | None = None
    dtype: Dtype | None = None
    colour: Colour | None = None
    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        Recipe(**{"width": 1, "height": 1, **self.given})

    @property
    def given(self) -> dict[str, Any]:
        """The keys that the card gives, with their values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}
