"""Carries out `tureen validate`: reads the files, runs the models, shows what the checks found."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from server.commands.validate import checks, view
from server.commands.validate.checks import Check, Report
from server.commands.validate.options import Options, parse
from server.commands.validate.running import Ran
from server.commands.validate.running import run as run_model
from server.engine import EngineFailed
from server.engine.loading import LoadFailed, check_contract
from server.inference.pictures import photo
from server.models.card import Located, find_model
from server.models.errors import ModelError
from server.models.external_data import external_files
from server.process.printable import printable
from server.repository.errors import RepositoryError
from server.repository.folder import check_sums
from server.repository.golden import Golden, pictures, read_golden, read_image

VALID, INVALID = 0, 1
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".avif")
_WIDTH = 120


def run(argv: Sequence[str]) -> int:
    """Check, show, write. Returns the exit code."""
    options = parse(argv)
    report = validate(options)
    document = msgspec.json.format(msgspec.json.encode(report)) + b"\n"
    try:
        if options.json == Path("-"):
            sys.stdout.write(document.decode())
        else:
            view.show(Console() if sys.stdout.isatty() else Console(width=_WIDTH), report)
            if options.json:
                options.json.write_bytes(document)
    except OSError as error:
        print(printable(f"tureen validate: {options.json}: {error.strerror}"), file=sys.stderr)
        return INVALID
    return VALID if report.valid else INVALID


def validate(options: Options) -> Report:
    """All checks of a model; those that a failure leaves no ground for are not in the report."""
    found: list[Check] = []
    model, digest = str(options.model), ""
    try:
        located = find_model(options.model)
        model = f"{located.card.name} {located.card.version}"
        found.append(_files(located))
        found.append(checks.of_size(_bytes_of(located), options.max_size))
        golden, images = _images(options, located)
        ran = asyncio.run(run_model(options.model.resolve(), images, photo(), timed=True))
        digest = ran.metadata.digest
        found.append(Check("open", "pass", f"it opens, and gives {ran.metadata.answer}"))
        found.append(checks.of_card(ran.metadata.warnings))
        found.append(checks.of_golden(golden, ran.answers))
        if options.against:
            found += _beside(options, options.against, ran, images)
        found.append(checks.of_latency(ran.seconds, options.latency_s or ran.slo_s))
    except (EngineFailed, ModelError) as error:
        found.append(Check("open" if found else "files", "fail", str(error)))
    except (RepositoryError, OSError) as error:
        found.append(Check("golden", "fail", str(error)))
    return Report(model, digest, checks.is_valid(found, strict=options.strict), found)


def _files(located: Located) -> Check:
    """Raises `ModelError` where a file is not as `SHA256SUMS` says."""
    folder = located.model_file.parent
    check_sums(folder)
    sums = "as SHA256SUMS says" if (folder / "SHA256SUMS").exists() else "there is no SHA256SUMS to compare with"
    return Check("files", "pass", f"{located.model_file.name} is readable, {sums}")


def _bytes_of(located: Located) -> int:
    return sum(file.stat().st_size for file in (located.model_file, *external_files(located.model_file)))


def _images(options: Options, located: Located) -> tuple[Golden | None, dict[str, bytes]]:
    """What is expected, and all images by name. Raises `RepositoryError`, `OSError`."""
    model = located.model_file.parent.parent
    single = options.model.is_file()
    golden = None if single else read_golden(model)
    names = [] if single else sorted({*(golden.images if golden else ()), *(path.name for path in pictures(model))})
    images = {name: read_image(model, name) for name in names}
    if options.images:
        more = sorted(path for path in options.images.iterdir() if path.suffix.lower() in _SUFFIXES)
        images |= {str(path): path.read_bytes() for path in more}
    return golden, images


def _beside(options: Options, against: Path, ran: Ran, images: Mapping[str, bytes]) -> list[Check]:
    """The checks beside another version. Raises `EngineFailed`."""
    before = asyncio.run(run_model(against.resolve(), images, b"", timed=False))
    try:
        check_contract(before.metadata, ran.metadata)
    except LoadFailed as error:
        return [Check("contract", "fail", str(error))]
    contract = Check("contract", "pass", f"inputs and outputs are those of version {before.metadata.version}")
    return [contract, checks.of_agreement(before.answers, ran.answers, options.agreement)]
