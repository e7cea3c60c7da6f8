"""Pictures that differ, each small enough to make by the thousand."""

import io

import numpy as np
from PIL import Image


def photo(seed: int, width: int = 64, height: int = 48, form: str = "JPEG") -> bytes:
    """A seeded picture of smooth colours with some noise; no two seeds give the same."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    smooth = Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC)
    noisy = np.asarray(smooth, dtype=np.int16) + rng.integers(-12, 13, (height, width, 3))
    out = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(out, form, quality=90)
    return out.getvalue()
