"""`tureen inspect MODEL`: what a model is, how it will be served, and a card to start from.

Standard output is one TOML document: what was found stands in its comments, the card below them. So it can be
read as it is, or sent into a file.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from server.process.printable import printable
from server.settings import QueueSettings

if TYPE_CHECKING:
    from server.inference.model import Model

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
        print(printable(f"tureen: {path} cannot be served: {error}"), file=sys.stderr)
        return EXIT_FAILED
    return 0


def inspect(path: Path) -> str:
    """The document. Raises `ModelError`."""
    from server.inference.model import open_model
    from server.models.card import find_model
    from server.models.card_diff import differences
    from server.models.card_text import card_text
    from server.optimize.report import in_a_line, load

    model = open_model(find_model(path), _MAX_BATCH)
    session = model.session
    profile = model.warmth.profile
    rows = [
        ("model", f"{model.card.name} {model.card.version}, {_size(model.file)}"),
        *(("input", str(tensor)) for tensor in session.signature.inputs),
        *(("output", str(tensor)) for tensor in session.signature.outputs),
        ("batch", _batch(session.fixed, model)),
        ("here", ", ".join(f"{size}: {seconds * 1e3:.3g} ms" for size, seconds in profile.sizes.items())),
        ("answer", model.describe()),
        *(("card", line) for line in differences(model.card, session.input, session.signature, model.warmth.seen)),
        *(("faster", in_a_line(report)) for report in filter(None, [load(model.file.parent)])),
        *(("warning", text) for text in model.warnings),
    ]
    card = card_text(session.recipe, model.output, model.card.input.constants)
    return "".join(f"{line}\n" for line in _comments(rows)) + "\n" + card


def _comments(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, text in rows:
        yield f"# {name:<7} {printable(text)}"
    yield "#"
    yield "# What follows, saved as NAME/model.toml beside NAME/1/model.onnx, is served the same way."


def _batch(fixed: int | None, model: "Model") -> str:
    if model.separate:
        return f"one image at a time: {model.separate}"
    if fixed:
        return f"fixed to {fixed}" + (": fewer images are filled up" if fixed > 1 else ": one image at a time")
    return f"free; {model.warmth.batch} is as fast per image as it gets on one core of this machine"


def _size(file: Path) -> str:
    size = file.stat().st_size
    return f"{file} ({size / 1e6:.1f} MB)" if size >= 1e6 else f"{file} ({size / 1e3:.1f} kB)"
