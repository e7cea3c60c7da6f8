"""The new version's folder: model, recipe, report, page, golden images and sums."""

import shutil
from pathlib import Path

from server.models.card import MODEL_FILE, Located
from server.optimize import report as reports
from server.optimize.golden import for_version
from server.optimize.report import Report
from server.optimize.rewrite import FILE, Recorded, dump
from server.optimize.trials import Trials
from server.optimize.version import carry_card, writing
from server.repository.golden import FILE as GOLDEN_FILE
from server.repository.golden import Golden, write_to


def golden_of(located: Located, asked: Path, trials: Trials, file: Path) -> Golden | None:
    """What the model's golden images expect of the new version. Raises `OptimizeError`, `ModelError`."""
    if not asked.is_dir():
        return None
    folder = located.model_file.parent.parent
    return for_version(folder, located.card.version, trials.answers.open(file), trials.answers.model.output)


def publish(
    located: Located, asked: Path, final: Path, file: Path, recorded: Recorded, report: Report, page: str,
    golden: Golden | None,
) -> None:  # fmt: skip
    """Write the version. It is there whole or not at all. Raises `OptimizeError`, `OSError`."""
    with writing(final) as folder:
        shutil.copyfile(file, folder / MODEL_FILE)
        (folder / FILE).write_text(dump(recorded), encoding="utf-8")
        (folder / reports.FILE).write_bytes(reports.dump(report))
        (folder / reports.PAGE).write_text(page, encoding="utf-8")
        if golden:
            write_to(folder / GOLDEN_FILE, golden)
        carry_card(located, asked, final.parent)
