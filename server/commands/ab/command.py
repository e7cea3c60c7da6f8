"""Carries out `tureen ab`: reads the store, computes the report, shows it."""

import argparse
import sys
from collections.abc import Iterator, Sequence

import msgspec

from server.cleanup.item import Damaged, Record, decode_record, outcomes_name, when
from server.cleanup.opening import open_store
from server.cleanup.stores import Store, StoreError
from server.commands.ab.options import add_arguments
from server.commands.ab.show import as_page, as_text
from server.experiments.card import Experiment, ExperimentError, read_experiment
from server.experiments.exposures import Exposure, measured, units
from server.experiments.report import Report, report
from server.models.card import find_model
from server.models.errors import ModelError
from server.settings.topics import StorageSettings

_FAILED = 1


def run(argv: Sequence[str]) -> int:
    """Report. Returns the exit code: 0, or 1 with a reason on standard error."""
    parser = argparse.ArgumentParser(prog="tureen ab", allow_abbrev=False)
    add_arguments(parser)
    options = parser.parse_args(argv)
    try:
        experiment = _experiment(options)
        found = _report(experiment, options)
        _show(found, options)
    except (ModelError, ExperimentError, StoreError, OSError) as error:
        print(f"tureen ab: {error}", file=sys.stderr)
        return _FAILED
    return 0


def _experiment(options: argparse.Namespace) -> Experiment:
    """That of the card. Raises `ModelError`, `ExperimentError`."""
    experiment = read_experiment(find_model(options.model).card.serving.experiment)
    if experiment is None:
        raise ExperimentError(f"{options.model}: the card has no [experiment]")
    return experiment


def _report(experiment: Experiment, options: argparse.Namespace) -> Report:
    store = open_store(StorageSettings(store=options.store, s3_endpoint=options.s3_endpoint))
    found, crossed = units(exposures(store, experiment))
    numbers = measured(found, options.metric, options.absent)
    return report(
        experiment.name, experiment.shares, found, numbers, options.metric, uplift=options.uplift, crossed=crossed
    )


def exposures(store: Store, experiment: Experiment) -> Iterator[Exposure]:
    """Every image in the store that was answered in this experiment. Raises `StoreError`."""
    arms = {f"{experiment.name}/{arm.name}": arm.name for arm in experiment.arms}
    for name in store.names():
        if name.endswith(".json") and (record := _record(store, name)) and record.arm in arms:
            day = f"{when(record.id):%Y-%m-%d}"
            yield Exposure(arms[record.arm], record.unit, day, _outcomes(store, record.id))


def _record(store: Store, name: str) -> Record | None:
    data = store.get(name)
    try:
        return decode_record(data) if data else None
    except Damaged:
        return None


def _outcomes(store: Store, id_: str) -> dict[str, float]:
    data = store.get(outcomes_name(id_))
    try:
        return msgspec.json.decode(data, type=dict[str, float]) if data else {}
    except msgspec.MsgspecError:
        return {}


def _show(found: Report, options: argparse.Namespace) -> None:
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    elif options.html:
        options.html.write_text(as_page(found), encoding="utf-8")
        print(options.html)
    else:
        print(as_text(found), end="")
