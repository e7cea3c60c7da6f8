"""Golden images of a model, for a rewritten version: the same expected answers, with a tolerance of its own."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from preprocess.errors import ImageError
from preprocess.limits import Limits
from preprocess.tensor import prepare
from server.inference.onnx.session import Session
from server.models.output_spec import Output
from server.models.render import answerer
from server.optimize.answers import rows
from server.optimize.errors import OptimizeError
from server.repository.errors import RepositoryError
from server.repository.golden import Golden, difference, read_golden, read_image

_STEP, _MOST = 1.1, 0.5
_ROOM = 1.25  # between what was seen and what is allowed: another machine computes a little differently


def for_version(folder: Path, version: str, session: Session, output: Output) -> Golden | None:
    """What the new version has to answer; None if the model has no golden images. `version`: the original's.

    Raises `OptimizeError` if the rewritten model gives another best class, or is off by more than half.
    """
    try:
        golden = read_golden(folder, version)
        if golden is None:
            return None
        tolerances = [
            _least(name, expected, _answer(session, output, read_image(folder, name)), golden.tolerance)
            for name, expected in golden.images.items()
        ]
    except (RepositoryError, ImageError) as error:
        raise OptimizeError(f"golden images: {error}") from error
    widest = max(tolerances, default=golden.tolerance)
    room = widest * _ROOM if widest > golden.tolerance else widest
    return Golden(golden.images, float(f"{room:.2g}"))


def _answer(session: Session, output: Output, data: bytes) -> dict[str, Any]:
    slot = np.zeros_like(session.slots[:1])
    prepare(data, session.slot_recipe, slot[0], Limits())
    (row,) = rows(session, slot)
    return msgspec.json.decode(b"{%b}" % answerer(output)(row), type=dict[str, Any])


def _least(name: str, expected: dict[str, Any], got: dict[str, Any], tolerance: float) -> float:
    """The smallest tolerance that accepts the answer, from the model's own up."""
    while found := difference(expected, got, tolerance):
        tolerance *= _STEP
        if tolerance > _MOST:
            raise OptimizeError(f"golden image {name}: {found}")
    return tolerance
