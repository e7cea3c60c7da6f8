"""`tureen inspect MODEL`: what a model is, how it will be served, and a card to start from.

Standard output is one TOML document: what was found stands in its comments, the card below them. So it can be
read as it is, or sent into a file.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path

from server.settings import QueueSettings

EXIT_FAILED = 1
_MAX_BATCH: int = QueueSettings.model_fields["max_batch"].default


def add_arguments(parser: ArgumentParser) -> None:
    """Give the parser the command's one argument."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="an .onnx file or a model folder")


def run(argv: Sequence[str]) -> int:
    """Inspect the model named by the command line; 0, or 1 if it cannot be served."""
    from server.models.errors import ModelError  # slow to import, and --help needs none of it

    parser = ArgumentParser(prog="tureen inspect", allow_abbrev=False)
    add_arguments(parser)
    path: Path = parser.parse_args(argv).model
    try:
        print(inspect(path), end="")
    except ModelError as error:
        print(f"tureen: {path} cannot be served: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def inspect(path: Path) -> str:
    """The document. Raises `ModelError`."""
    from server.inference.model import Model, open_model
    from server.models.card import find_model
    from server.models.card_text import card_text

    model: Model = open_model(find_model(path), _MAX_BATCH)
    profile = model.warmth.profile
    rows = [
        ("model", f"{model.card.name} {model.card.version}, {_size(model.file)}"),
        *(("input", str(tensor)) for tensor in model.session.signature.inputs),
        *(("output", str(tensor)) for tensor in model.session.signature.outputs),
        ("batch", _batch(model.session.fixed, model.warmth.batch)),
        ("here", ", ".join(f"{size}: {seconds * 1e3:.3g} ms" for size, seconds in profile.sizes.items())),
        ("answer", model.describe()),
    ]
    card = card_text(model.session.recipe, model.output)
    return "".join(f"{line}\n" for line in _comments(rows)) + "\n" + card


def _comments(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, text in rows:
        yield f"# {name:<7} {_printable(text)}"
    yield "#"
    yield "# What follows, saved as NAME/model.toml beside NAME/1/model.onnx, is served the same way."


def _batch(fixed: int | None, best: int) -> str:
    if fixed:
        return f"fixed to {fixed}" + (": fewer images are filled up" if fixed > 1 else ": one image at a time")
    return f"free; {best} is as fast an image as it gets on one core of this machine"


def _size(file: Path) -> str:
    size = file.stat().st_size
    return f"{file} ({size / 1e6:.1f} MB)" if size >= 1e6 else f"{file} ({size / 1e3:.1f} kB)"


def _printable(text: str) -> str:
    """TOML allows no control characters in a comment, and a model's names may hold any."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
