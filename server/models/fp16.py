"""A model of float32 computed in float16: converted when it is opened. What it takes and gives keeps its type."""

from pathlib import Path
from typing import Any

from server.models.errors import ModelError, in_one_line

_LARGEST = 2**31 - 1  # bytes of a protobuf message


def in_half_precision(model_file: Path) -> bytes:
    """The file's model with its weights and operations in float16 where they have a form for it.

    Raises `ModelError` if it cannot be converted, or the extra that does it is not installed.
    """
    try:
        import onnx  # not needed to serve, but for this
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError as error:
        raise ModelError(f"float16 needs an extra (pip install 'tureen[fp16]'): {in_one_line(error)}") from error
    try:
        given: Any = onnx.load(str(model_file))
        data: bytes = convert_float_to_float16(given, keep_io_types=True).SerializeToString()
    except Exception as error:  # the model is a stranger's: whatever the converter raises means the same
        raise ModelError(f"it cannot be converted to float16: {in_one_line(error)}") from error
    if len(data) > _LARGEST:  # pragma: no cover - of 4 GB as a file
        raise ModelError("it is too large to be converted to float16: the limit is 2 GB")
    return data
