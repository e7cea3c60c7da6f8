"""Whether images can share a batch: the answer to a picture must not depend on what else is in it.

A model that was exported with one image in mind can take a batch and give every row the first image's answer; one
exported in training mode normalises each batch by its own mean.
"""

import time
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from preprocess.limits import Limits
from preprocess.tensor import prepare
from server.inference.onnx.session import Session
from server.inference.pictures import pictures
from server.models.agreement import TOLERANCE, disagreement
from server.models.errors import ModelError, in_one_line
from server.models.output_spec import Output
from server.models.render import Row

_BUDGET_S = 1.0  # for the sizes between the smallest and the largest
_TWICE = (2, 3)  # the pictures that are run once more: a gradient and noise


def check_alone(session: Session, output: Output, alone: Sequence[Row]) -> None:
    """Raises `ModelError` if a picture that is run alone again is answered differently.

    `alone`: what the pictures of warming up gave. `output` is resolved. Leaves the slots empty.
    """
    shown = pictures()
    try:
        for number in _TWICE:
            prepare(shown[number], session.slot_recipe, session.slots[0], Limits())
            again = [part[0] for part in session.run_alone(0)]
            if (why := difference(alone[number], again, output)) is not None:
                raise ModelError(
                    f"it does not give one answer to one picture: run again, {why}. A model has to be exported for"
                    " inference: in PyTorch, call eval() first"
                )
    finally:
        session.slots[:] = 0


def dependence(session: Session, output: Output, alone: Sequence[Row], most: int) -> str:
    """Why images cannot share batches of up to `most`; empty if they can. Leaves the slots empty.

    Tries 2 and the largest, and the sizes between as far as a second goes.
    """
    shown = []
    try:
        for picture in pictures():
            prepare(picture, session.slot_recipe, session.slots[0], Limits())
            shown.append(session.slots[0].copy())
        stop = time.monotonic() + _BUDGET_S
        for number, size in enumerate(_sizes(session, most)):
            if number > 1 and time.monotonic() > stop:
                break
            order = [(size + slot) % len(shown) for slot in range(size)]
            for slot, which in enumerate(order):
                session.slots[slot] = shown[which]
            if why := _in_company(session, output, [alone[which] for which in order]):
                return why
    finally:
        session.slots[:] = 0
    return ""


def difference(alone: Row, other: Row, output: Output) -> str | None:
    """How an answer differs from the same image's alone, if it does; nothing is said of one that is not finite."""
    if not all(np.isfinite(part).all() for part in alone):
        return None
    deviation, name = disagreement([alone], [other], output)
    if deviation <= TOLERANCE:
        return None
    off = "another" if deviation == float("inf") else f"off by {deviation:.0%}"
    return f"its output {name!r} is {off}"


def _sizes(session: Session, most: int) -> Iterable[int]:
    """Those that are run, the smallest and the largest first."""
    every = session.any_size or session.fixed
    used = [size for size in (range(2, most + 1) if every else session.sizes) if 1 < size <= most]
    return dict.fromkeys([*used[:1], *used[-1:], *used])


def _in_company(session: Session, output: Output, alone: Sequence[Row]) -> str:
    size = len(alone)
    try:
        outputs = session.run(range(size))
    except Exception as error:  # noqa: BLE001 - the model is a stranger's: such a batch cannot be run
        return f"a batch of {size} fails: {in_one_line(error)}"
    for why in _differences(outputs, output, alone):
        return f"in a batch of {size} {why} from the answer to the image alone"
    return ""


def _differences(outputs: Sequence[np.ndarray], output: Output, alone: Sequence[Row]) -> Iterator[str]:
    for slot, expected in enumerate(alone):
        if why := difference(expected, [part[slot] for part in outputs], output):
            yield why
