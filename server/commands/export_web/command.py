"""Carries out `tureen export-web`: opens the model, and writes page, model, description and runtime."""

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from server.commands.export_web.description import describe
from server.commands.export_web.options import PACKAGE, TESTED, Options, parse
from server.inference.model import open_model
from server.models.card import find_model
from server.models.errors import ModelError
from server.models.external_data import external_files
from server.process.printable import printable

_STATIC = Path(__file__).parent / "static"
_RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


class ExportError(Exception):
    """The page cannot be written; the message says why."""


def run(argv: Sequence[str]) -> int:
    """Export, and list what was written. Returns the exit code."""
    options = parse(argv)
    try:
        for file in export(options):
            print(printable(f"{file.stat().st_size:>12,}  {file}"))
    except (ExportError, ModelError) as error:
        print(printable(f"tureen export-web: {error}"), file=sys.stderr)
        return 1
    except OSError as error:
        print(printable(f"tureen export-web: {error.filename}: {error.strerror}"), file=sys.stderr)
        return 1
    return 0


def export(options: Options) -> list[Path]:
    """The files of the page. Raises `ExportError`, `ModelError`, `OSError`."""
    runtime, version = _runtime(options.runtime)
    located = find_model(options.model)
    model = open_model(located, max_batch=1)
    beside = external_files(located.model_file)
    names = [file.relative_to(located.model_file.parent).as_posix() for file in beside]
    target = options.target
    target.mkdir(parents=True, exist_ok=True)
    description = describe(model, located, external=names, runtime=version)
    (target / "model.json").write_bytes(msgspec.json.format(msgspec.json.encode(description)))
    sources = {file.name: file for file in sorted(_STATIC.iterdir())}
    sources |= {"model.onnx": located.model_file} | dict(zip(names, beside, strict=True))
    sources |= {f"ort/{name}": runtime / name for name in _RUNTIME}
    return [target / "model.json", *_copied(sources, target)]


def _copied(sources: dict[str, Path], target: Path) -> Iterator[Path]:
    for name, source in sources.items():
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, file)
        yield file


def _runtime(package: Path) -> tuple[Path, str]:
    """Where its files are, and its version. Raises `ExportError`."""
    folder = package / "dist"
    if missing := [name for name in _RUNTIME if not (folder / name).is_file()]:
        raise ExportError(
            f"{folder / missing[0]} is missing: run `npm install --ignore-scripts {PACKAGE}@{TESTED}` here, or say"
            " with --runtime where that package is"
        )
    try:
        return folder, str(json.loads((package / "package.json").read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError) as error:
        raise ExportError(f"{package / 'package.json'} tells no version: {error}") from None
