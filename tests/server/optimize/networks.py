"""Small networks to optimise, with seeded weights, and pictures for them."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from tests.models import save
from tests.photos import photo

CARD = '[input]\nscale = 0.00784\nmean = [1.0]\nstd = [1.0]\n\n[output]\nkind = "classes"\ntop_k = 2\n'


def convolutional(path: Path, *, dead: int = 0, outlier: float = 1.0) -> Path:
    """Three convolutions and a dense layer on [N, 3, 32, 32]; logits of 4 classes.

    `dead`: so many channels of the first convolution are zero. `outlier`: by how much one channel of the second is
    larger than the others, and smaller in the third: in 8 bits nothing is left of the others.
    """
    rng = np.random.default_rng(4)
    weights = {
        "w1": _weights(rng, 16, 3), "b1": rng.standard_normal(16).astype(np.float32) / 8,
        "w2": _weights(rng, 16, 16), "b2": rng.standard_normal(16).astype(np.float32) / 8,
        "w3": _weights(rng, 16, 16), "w4": rng.standard_normal((16, 4)).astype(np.float32) * 4,
        "b4": np.zeros(4, np.float32),
    }  # fmt: skip
    weights["w1"][:dead] = 0
    weights["b1"][:dead] = 0
    weights["w2"][:1] *= outlier
    weights["b2"][:1] *= outlier
    weights["w3"][:, :1] /= outlier
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], name="first", pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], name="second", pads=[1] * 4),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Conv", ["r2", "w3"], ["c3"], name="third", pads=[1] * 4),
        helper.make_node("Relu", ["c3"], ["r3"]),
        helper.make_node("GlobalAveragePool", ["r3"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w4", "b4"], ["logits"], name="dense"),
    ]
    image = ("image", TensorProto.FLOAT, ["N", 3, 32, 32])
    return save(path, nodes, weights, [image], [("logits", TensorProto.FLOAT, ["N", 4])])


def folder(path: Path, **how) -> Path:
    """A model's folder with version 1 and a card."""
    convolutional(path / "1" / "model.onnx", **how)
    (path / "model.toml").write_text(CARD)
    return path


def pictures(path: Path, count: int) -> Path:
    """A folder of pictures."""
    path.mkdir()
    for seed in range(count):
        (path / f"{seed}.jpg").write_bytes(photo(seed, 32, 32))
    return path


def _weights(rng: np.random.Generator, out: int, given: int) -> np.ndarray:
    return (rng.standard_normal((out, given, 3, 3)) / np.sqrt(given * 4.5)).astype(np.float32)
