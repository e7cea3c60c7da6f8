"""A reference of images that are kept: each is decoded and answered by the version anew."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from preprocess.decode import decode
from preprocess.errors import ImageError
from preprocess.header import read_header
from preprocess.limits import Limits
from preprocess.tensor import write
from server.cleanup.item import Damaged, Record, decode_record, original_name
from server.cleanup.opening import open_store
from server.cleanup.stores import Store
from server.drift.features import input_features, output_features
from server.drift.labels import label_in
from server.drift.reference import BadReference, Look, reference_of, save
from server.inference.model import Model, open_model
from server.models.card import find_model
from server.models.render import answerer
from server.settings.topics import StorageSettings


def from_store(options: argparse.Namespace) -> Path:
    """Make and save it; the folder it is in. Raises `BadReference`, `ModelError`, `StoreError`, `OSError`."""
    if not options.models:
        raise BadReference("--store needs --models, the folder of models")
    store = open_store(StorageSettings(store=options.store, s3_endpoint=options.s3_endpoint))
    located = find_model(options.models / options.name / options.version)
    model = open_model(located, 1)
    looks = list(islice(_looks(store, options.name, model), options.looks))
    folder = located.model_file.parent
    save(folder, reference_of(looks, datetime.now(UTC).isoformat(timespec="seconds")))
    return folder


def _looks(store: Store, name: str, model: Model) -> Iterator[Look]:
    for record in _records(store, name):
        data = store.get(original_name(record))
        if data and (look := _look(data, model)):
            yield look


def _records(store: Store, name: str) -> Iterator[Record]:
    """Those of this model, the newest day first."""
    for path in sorted(store.names(), reverse=True):
        data = store.get(path) if path.endswith(".json") else None
        try:
            record = decode_record(data) if data else None
        except Damaged:
            continue
        if record and record.model == name:
            yield record


def _look(data: bytes, model: Model) -> Look | None:
    """As a worker looks at it; None for an image that cannot be decoded."""
    session, limits = model.session, Limits()
    recipe = session.slot_recipe
    try:
        picture = decode(data, (recipe.width, recipe.height), limits)
    except ImageError:
        return None
    inputs = input_features(picture.image, read_header(data, limits).pixels, sideways=picture.sideways)
    write(picture, recipe, session.slots[0])
    row = [part[0] for part in session.run([0])]
    return Look(inputs + output_features(row, model.output), label_in(answerer(model.output)(row)))
