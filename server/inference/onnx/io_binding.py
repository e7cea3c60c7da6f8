"""A batch through the model on a device, over tensors that stay where they are (ONNX Runtime's IO binding).

    slab ──one copy──► pixels ──head──► image ──model──► outputs ──one copy each──► rows
    (bytes, page-locked)    '------ on the device, one set a batch size ------'

It works on a CPU too, where the copies are within its memory: that is how it is tested where there is no GPU.

On a GPU each batch size is recorded as a CUDA graph and replayed, or has a session of its own: ONNX Runtime's
convolutions plan anew whenever the shape differs from the last run's, which takes 20 to 200 times what they do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import DTypeLike, NDArray

from preprocess.recipe import Recipe
from server.inference.onnx.feed import Feed
from server.inference.onnx.normaliser import IMAGE, PIXELS
from server.inference.onnx.page_lock import page_lock
from server.inference.onnx.slab import Slab
from server.models.signature import Tensor


@dataclass(frozen=True, slots=True)
class Device:
    """Where tensors are, in ONNX Runtime's words."""

    name: Literal["cpu", "cuda"]
    index: int = 0

    def tensor(self, array: NDArray[Any]) -> ort.OrtValue:
        """A copy of the array there."""
        return ort.OrtValue.ortvalue_from_numpy(array, self.name, self.index)

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> ort.OrtValue:
        """A tensor there, with whatever is in it."""
        return ort.OrtValue.ortvalue_from_shape_and_type(shape, np.dtype(dtype).type, self.name, self.index)


@dataclass(frozen=True, slots=True)
class Graphs:
    """The sessions that are run one after the other. `head` makes the image that the model takes; None: it takes
    pixels.

    `model` gives the session for a batch size that has none yet: always the same one, or another each time.
    `recipe`: of the model's input. `feed`: its name, and the constants beside it. `replayed`: each size is recorded as
    a CUDA graph, and then replayed.
    """

    model: Callable[[], ort.InferenceSession]
    head: ort.InferenceSession | None
    recipe: Recipe
    feed: Feed
    outputs: Sequence[Tensor]
    replayed: bool = False


@dataclass(slots=True)
class Traffic:
    """What went to the device and came back, in all."""

    batches: int = 0
    copies_in: int = 0
    bytes_in: int = 0
    copies_out: int = 0
    bytes_out: int = 0


class BoundRun:
    """Owned by one thread: CUDA keeps its handles and what it has recorded by thread."""

    # The whole state: the lanes, each opened when its size is first run, whether outputs are whole, and the traffic.

    def __init__(self, graphs: Graphs, slab: Slab, device: Device) -> None:
        self.slots = slab.slots
        self.traffic = Traffic()
        self.page_locked = device.name == "cuda" and page_lock(slab.memory)
        memory = "page-locked memory" if self.page_locked else "memory that is not page-locked"
        recorded = ", recorded as CUDA graphs" if graphs.replayed else ""
        self.way = f"on the device, from {slab.memory.dtype} in {memory}{recorded}"
        self._graphs = graphs
        self._slab = slab
        self._device = device
        self._lanes: dict[int, _Lane] = {}
        self._whole = False

    @property
    def sizes(self) -> tuple[int, ...]:
        """Which have tensors on the device."""
        return tuple(sorted(self._lanes))

    def addresses(self, size: int) -> tuple[int, ...]:
        """Where the tensors of one of `sizes` are: pixels, image, and those outputs whose places are settled."""
        return self._lanes[size].addresses()

    def run(self, slots: Sequence[int], size: int) -> list[NDArray[Any]]:
        """The outputs of a batch of `size` that begins with these slots. Raises what ONNX Runtime raises."""
        rows = self._slab.rows(slots, size)
        if size not in self._lanes:
            self._lanes[size] = _Lane(self._graphs, rows, self._device, whole=self._whole)
        outputs = self._lanes[size].run(rows)
        self._count(rows, outputs)
        return outputs

    def limit(self, size: int) -> None:
        """No larger batch will come: what those had on the device is given back."""
        self._lanes = {each: lane for each, lane in self._lanes.items() if each <= size}

    def take_whole(self) -> None:
        """Outputs may be of any shape from now on: the first dimension need not be the batch."""
        self._whole = True
        self._lanes.clear()

    def _count(self, rows: NDArray[Any], outputs: Sequence[NDArray[Any]]) -> None:
        self.traffic.batches += 1
        self.traffic.copies_in += 1
        self.traffic.bytes_in += rows.nbytes
        self.traffic.copies_out += len(outputs)
        self.traffic.bytes_out += sum(each.nbytes for each in outputs)


class _Lane:
    """One batch size: its tensors on the device, and the runs bound to them."""

    def __init__(self, graphs: Graphs, rows: NDArray[Any], device: Device, *, whole: bool) -> None:
        """`rows`: a batch of this size. `whole`: the first dimension of outputs is not the batch."""
        size = len(rows)
        self._graphs = graphs
        self._first_open = 0 if whole else 1
        self._device = device
        self._places: dict[str, int] = {}
        self._options = ort.RunOptions()
        if graphs.replayed:
            self._options.add_run_config_entry("gpu_graph_id", str(size))
        self._pixels = device.empty(rows.shape, rows.dtype)
        self._image = self._pixels
        if graphs.head:
            self._image = device.empty((size, *graphs.recipe.shape), graphs.recipe.dtype)
            self._head = graphs.head.io_binding()
            self._head.bind_ortvalue_input(PIXELS, self._pixels)
            self._head.bind_ortvalue_output(IMAGE, self._image)
        self._session = graphs.model()
        self._model = self._session.io_binding()
        self._model.bind_ortvalue_input(graphs.feed.image, self._image)
        self._constants = {name: device.tensor(each) for name, each in graphs.feed.constants(size).items()}
        for name, value in self._constants.items():
            self._model.bind_ortvalue_input(name, value)
        for tensor in graphs.outputs:
            self._leave_open(tensor)

    def run(self, rows: NDArray[Any]) -> list[NDArray[Any]]:
        self._pixels.update_inplace(rows)
        if self._graphs.head:
            self._graphs.head.run_with_iobinding(self._head, self._options)
        self._session.run_with_iobinding(self._model, self._options)
        values: list[ort.OrtValue] = self._model.get_outputs()
        for tensor, value in zip(self._graphs.outputs, values, strict=True):
            self._settle(tensor, value)
        return [_on_host(value) for value in values]

    def addresses(self) -> tuple[int, ...]:
        return (self._pixels.data_ptr(), self._image.data_ptr(), *self._places.values())

    def _settle(self, tensor: Tensor, value: ort.OrtValue) -> None:
        """Where the next batch's output goes: to the same place if it is sure to be as large."""
        if self._graphs.replayed or all(isinstance(side, int) for side in tensor.shape[self._first_open :]):
            self._model.bind_ortvalue_output(tensor.name, value)
            self._places[tensor.name] = value.data_ptr()
        else:
            self._leave_open(tensor)

    def _leave_open(self, tensor: Tensor) -> None:
        """ONNX Runtime makes a tensor of the size that it turns out to have."""
        self._model.bind_output(tensor.name, self._device.name, self._device.index)


def _on_host(value: ort.OrtValue) -> NDArray[Any]:
    array: NDArray[Any] = value.numpy()
    return array if value.device_name() == "cuda" else array.copy()  # on a CPU it is the tensor itself
