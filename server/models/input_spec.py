"""What a card says about the model's input. Values and their rules only; `server.models.signature` fills in the rest.

Each key that is given replaces just that key of the recipe that is read off the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from preprocess.recipe import Colour, Dtype, Fit, Layout, Recipe, Resample


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """The keys of a `Recipe` that the card gives; None: read off the model.

    `constants`: what each input but the image's is given, a number or nested lists.

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
    constants: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Recipe(**{"width": 1, "height": 1, **self.given})

    @property
    def given(self) -> dict[str, Any]:
        """The keys of the recipe that the card gives, with their values."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "constants"}
        return {name: value for name, value in values.items() if value is not None}
