"""Where a test runs: on the CPU, and on a GPU where there is one."""

import pytest

from server.process.gpus import may_have_gpu

needs_gpu = [pytest.mark.gpu, pytest.mark.skipif(not may_have_gpu(), reason="there is no GPU")]
PROVIDERS = ["cpu", pytest.param("cuda", marks=needs_gpu)]
