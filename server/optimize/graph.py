"""The model's graph before it is quantised: constants folded, unused channels removed, every node named.

What needs `onnx` imports it within, so that the command's help does not.
"""

import contextlib
import io
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from server.models.errors import in_one_line
from server.optimize.errors import OptimizeError
from server.optimize.prune import Proto, remove_dead_channels

_LEAST_OPSET = 13  # the first in which weights are quantised per channel
_TARGET_OPSET = 17
_LAYERS = ("Conv", "ConvTranspose", "MatMul", "Gemm")


@dataclass(frozen=True, slots=True)
class Prepared:
    """The float model that the others are made of. `layers`: names of the nodes with weights. `removed`: channels that
    were zero or constant. `nodes`: before and after."""

    file: Path
    layers: tuple[str, ...]
    removed: int
    nodes: tuple[int, int]
    transformer: bool
    """Whether most of its work is in matrix products rather than convolutions."""


def prepare(model_file: Path, folder: Path) -> Prepared:
    """Write `folder`/float.onnx. Raises `OptimizeError` if the model cannot be read or rewritten."""
    onnx = _onnx()
    from onnxruntime.quantization import quant_pre_process

    out = folder / "float.onnx"
    try:
        model = onnx.load(str(model_file))
        before = len(model.graph.node)
        model = _raised(model)
        removed = remove_dead_channels(model)
        pruned = folder / "pruned.onnx"
        onnx.save(model, str(pruned))
        with quiet():
            quant_pre_process(str(pruned), str(out), skip_symbolic_shape=True)
        model = onnx.load(str(out))
        if _name_nodes(model):
            onnx.save(model, str(out))
    except Exception as error:  # the model is a stranger's: whatever is raised means the same
        raise OptimizeError(f"its graph cannot be rewritten: {in_one_line(error)}") from error
    kinds = Counter(node.op_type for node in model.graph.node)
    weights = {tensor.name for tensor in model.graph.initializer}
    layers = [node.name for node in model.graph.node if node.op_type in _LAYERS and weights & {*node.input[1:2]}]
    transformer = kinds["Softmax"] > 0 and kinds["MatMul"] + kinds["Gemm"] > 2 * kinds["Conv"]
    return Prepared(out, tuple(layers), removed, (before, len(model.graph.node)), transformer)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """ONNX Runtime's tools print and log what they do: none of it is for users."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _onnx() -> Proto:
    try:
        import onnx
    except ImportError as error:
        raise OptimizeError(f"needs an extra (pip install 'tureen[optimize]'): {in_one_line(error)}") from error
    return onnx


def _raised(model: Proto) -> Proto:
    """The model in an operator set that can be quantised per channel."""
    (opset,) = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if opset >= _LEAST_OPSET:
        return model
    from onnx import version_converter

    return version_converter.convert_version(model, _TARGET_OPSET)


def _name_nodes(model: Proto) -> bool:
    """Give each node a name of its own, by its place; whether any was changed."""
    seen: set[str] = set()
    changed = False
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name, changed = f"{node.op_type}_{number}", True
        seen.add(node.name)
    return changed
