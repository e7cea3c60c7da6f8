"""Memory that stays where it is, so that a GPU can read it by itself and without a copy on the way.

ONNX Runtime's own CUDA allocators for such memory are not to be had from Python, so that memory of numpy's is
registered with the driver, which is there wherever CUDA works.
"""

import ctypes
import weakref
from typing import Any

from numpy.typing import NDArray

_DRIVER = "libcuda.so.1"
_PORTABLE = 1  # CU_MEMHOSTREGISTER_PORTABLE: for every context of this process


def page_lock(memory: NDArray[Any]) -> bool:
    """Keep this array's memory in place until it is given back; False if the driver will not, or there is none.

    For the thread that has opened a session on the GPU: the driver asks for its context. `memory` owns its data.
    """
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return False
    address = memory.ctypes.data
    register = driver.cuMemHostRegister_v2
    register.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint)
    if register(address, memory.nbytes, _PORTABLE) != 0:
        return False
    release = driver.cuMemHostUnregister  # pragma: no cover - needs a GPU
    release.argtypes = (ctypes.c_void_p,)  # pragma: no cover
    weakref.finalize(memory, release, address).atexit = False  # pragma: no cover - CUDA may have gone by then
    return True  # pragma: no cover
