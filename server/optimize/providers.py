"""Execution providers beside ONNX Runtime's own kernels for CPUs: asked for, and refused where they are not there."""

import onnxruntime as ort

from server.optimize.errors import OptimizeError

_NAMES = {"openvino": "OpenVINOExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_NEEDED = {
    "openvino": "onnxruntime-openvino, which replaces onnxruntime, in an environment of its own",
    "tensorrt": "an NVIDIA GPU, its driver and TensorRT's libraries (pip install 'tureen[cuda]' tensorrt)",
}


def check_provider(provider: str) -> None:
    """Raises `OptimizeError` where models cannot be measured on it: `cpu` always can."""
    if provider == "cpu":
        return
    name = _NAMES[provider]
    there = name in ort.get_available_providers()
    found = "this build of ONNX Runtime has it, but Tureen does not serve with it yet" if there else "it is not here"
    raise OptimizeError(f"--provider {provider} ({name}): {found}; it needs {_NEEDED[provider]}")
