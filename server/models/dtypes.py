"""One dtype by three names: ONNX Runtime's, numpy's and the contract's, which is the Open Inference Protocol's."""

import numpy as np

_BY_NUMPY = {
    "bool": "BOOL",
    **{f"uint{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)},
    **{f"int{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
}
_BY_ONNXRUNTIME = {"float": "FP32", "double": "FP64", "float16": "FP16"}


def from_numpy(dtype: "np.dtype[np.generic]") -> str:
    """The contract's name. Raises `KeyError` for what no tensor of numbers has."""
    return _BY_NUMPY[dtype.name]


def to_numpy(name: str) -> "np.dtype[np.generic]":
    """The dtype of a contract's name, little-endian. Raises `KeyError`."""
    return np.dtype(_NUMPY[name]).newbyteorder("<")


def from_onnxruntime(type_: str) -> str:
    """The contract's name for such as `tensor(float)`; what it has none for is returned as it is."""
    inner = type_.removeprefix("tensor(").removesuffix(")")
    return _BY_ONNXRUNTIME.get(inner) or _BY_NUMPY.get(inner, type_)


_NUMPY = {name: kind for kind, name in _BY_NUMPY.items()}
