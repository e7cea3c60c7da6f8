"""Pictures that differ, each small enough to make by the thousand."""

import io

import numpy as np
from PIL import Image


def photo(seed: int, width: int = 64, height: int = 48, form: str = "JPEG") -> bytes:
    """A seeded picture of smooth colours with some noise; no two seeds give the same.

    Its colours are faded, each seed's to another degree: at full strength the demo model calls every one of them
    "extremely colourful", and an answer that went to the wrong client would look right.
    """
    rng = np.random.default_rng(seed)
    full = rng.integers(0, 256, (4, 5, 3))
    grey = full.mean(axis=2, keepdims=True)
    patches = (grey + (full - grey) * rng.uniform(0.05, 0.6)).astype(np.uint8)
    smooth = Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC)
    noisy = np.asarray(smooth, dtype=np.int16) + rng.integers(-12, 13, (height, width, 3))
    out = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(out, form, quality=90)
    return out.getvalue()
