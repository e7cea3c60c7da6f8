"""A limit on the memory of a worker: what it has when it is ready, and what decoding may add.

The limit is RLIMIT_DATA, which counts what a process may write, used or not. An allocation beyond it fails, and with it
the one image that asked for it. (A limit on addresses would count files and devices, and breaks CUDA.)
"""

import re
import resource
from pathlib import Path

SPARE_BYTES = 256 * 1024 * 1024
"""For buffers that are not decoding: uploads under way, a larger batch's outputs."""
_STATUS = Path("/proc/self/status")
_data_kib = re.compile(r"^VmData:\s+(\d+) kB$", re.MULTILINE).search


def data_bytes() -> int:
    """What the limit counts, now; 0 where the system does not tell (only Linux does, here)."""
    try:
        found = _data_kib(_STATUS.read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def set_ceiling(growth: int) -> int:
    """Let this process grow by `growth` bytes and some spare, and no more. The limit in bytes; 0 if there is none.

    A lower limit that is set already stays.
    """
    now = data_bytes()
    if not now or not growth:
        return 0
    ceiling = now + growth + SPARE_BYTES
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    lower = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    if lower and min(lower) <= ceiling:
        return min(lower)
    resource.setrlimit(resource.RLIMIT_DATA, (ceiling, hard))
    return ceiling
