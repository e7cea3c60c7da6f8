"""Memory that stays where it is. What a driver grants is tested in test_bound.py."""

import subprocess
import sys


def test_where_nothing_has_opened_a_gpu_memory_is_left_as_it_is():
    """Neither without a driver nor without a context in it does this fail: it says no."""
    program = "import numpy; from server.inference.onnx.page_lock import page_lock; print(page_lock(numpy.zeros(9)))"
    asked = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)

    assert "False\n" == asked.stdout
