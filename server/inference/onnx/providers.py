"""Where a model runs: ONNX Runtime's providers, opened so that the one in use is the one asked for.

ONNX Runtime falls back to the CPU on its own where CUDA does not come up, and says so only in its log. Here
that is an error with a reason. As a program, `python -m server.inference.onnx.providers DEVICE` prints why CUDA
cannot be used, or nothing if it can.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnxruntime as ort

from server import demo
from server.models.card import find_model
from server.models.errors import ModelError, in_one_line

Provider = Literal["cpu", "cuda"]

_NAMES: dict[Provider, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_FATAL = 4  # ONNX Runtime's log level
_ERROR = 3


@dataclass(frozen=True, slots=True)
class Gpu:
    """Which GPU, and how it is used: `graphs` records CUDA graphs, `memory_limit` is what a session may take of its
    memory, in bytes; 0 is all. `channels_last` turns what convolutions work on into the order that its tensor cores
    want."""

    index: int = 0
    graphs: bool = False
    memory_limit: int = 0
    channels_last: bool = False


def open_session(
    model: Path | bytes, provider: Provider, gpu: Gpu | None = None, threads: int = 1
) -> ort.InferenceSession:
    """The model, a file or what would be in one, on that provider; `threads` run it on a CPU. Raises `ModelError`."""
    if provider == "cuda":
        _find_cuda_libraries()
    source = model if isinstance(model, bytes) else str(model)
    try:
        log_level = _FATAL if gpu and gpu.graphs else _ERROR  # that a model cannot be recorded is no fault of it
        session = ort.InferenceSession(
            source,
            _options(threads, log_level),
            providers=_providers(provider, gpu or Gpu()),
            enable_fallback=0,  # else it prints what is wrong, and runs on the CPU
        )
    except Exception as error:  # ONNX Runtime's exceptions share no base class but this
        raise ModelError(f"ONNX Runtime cannot load it: {in_one_line(error)}") from error
    if (got := session.get_providers()[0]) != _NAMES[provider]:
        raise ModelError(f"{provider} was asked for, but ONNX Runtime would use {got}: {_missing()}")
    return session


def cuda_problem(device: int) -> str | None:
    """Why CUDA cannot be used; None if it can. Found out by opening the demo model on it."""
    try:
        open_session(find_model(demo.FOLDER).model_file, "cuda", Gpu(device))
    except ModelError as error:
        return str(error)
    return None  # pragma: no cover - needs a GPU


def _options(threads: int, log_level: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # an idle thread takes no core from the others
    options.log_severity_level = log_level
    return options


def _providers(provider: Provider, gpu: Gpu) -> list[Any]:
    if provider == "cpu":
        return [_NAMES["cpu"]]
    return [(_NAMES["cuda"], cuda_options(gpu)), _NAMES["cpu"]]  # what CUDA has no kernel for runs on the CPU


def cuda_options(gpu: Gpu) -> dict[str, str]:
    """What CUDA's provider is told."""
    options = {
        "device_id": str(gpu.index),
        "cudnn_conv_algo_search": "HEURISTIC",  # the default tries every kernel at each new shape
        "arena_extend_strategy": "kSameAsRequested",  # the default doubles: one large batch, and half lies idle
        "enable_cuda_graph": str(int(gpu.graphs)),
        "prefer_nhwc": str(int(gpu.channels_last)),
    }
    return options | ({"gpu_mem_limit": str(gpu.memory_limit)} if gpu.memory_limit else {})


def _find_cuda_libraries() -> None:
    """Load CUDA's libraries from where pip puts them. What is missing shows when the session is opened."""
    ort.set_default_logger_severity(_FATAL)  # else it logs, in colour, what we say in words
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        ort.preload_dlls()


def _missing() -> str:
    """The libraries that do not load, in the loader's words."""
    if _NAMES["cuda"] not in ort.get_available_providers():
        return "this build of ONNX Runtime has no CUDA"  # pragma: no cover - another build
    reasons = "; ".join(_load_errors())
    hint = "CUDA comes with pip install 'tureen[cuda]', its driver with the system"
    return f"{reasons} ({hint})" if reasons else "its log says why"


def _load_errors() -> Iterator[str]:
    ours = Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    for library in (str(ours), "libcuda.so.1"):
        try:
            ctypes.CDLL(library)
        except OSError as error:
            yield str(error)


def gpu_count() -> int:
    """How many GPUs CUDA shows this process, by its driver: none that `CUDA_VISIBLE_DEVICES` hides, and an instance of
    MIG is one. Raises `OSError` without a driver."""
    driver = ctypes.CDLL("libcuda.so.1")
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value


def main(argv: list[str]) -> int:
    """Print why CUDA cannot be used on the device given by its index; 0 if it can. `count`: print how many it has."""
    if argv[0] == "count":
        try:
            print(gpu_count())
        except OSError as error:
            print(error)
        return 0
    problem = cuda_problem(int(argv[0]))
    if problem is None:
        return 0  # pragma: no cover - needs a GPU
    print(problem)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
