"""CUDA or the CPU: the one asked for, or an error that says why not."""

import subprocess
import sys

import pytest

from server.inference.onnx.providers import Gpu, cuda_options, cuda_problem, open_session
from server.models.errors import ModelError
from server.process.gpus import may_have_gpu
from tests.models import dense

needs_gpu = pytest.mark.skipif(not may_have_gpu(), reason="there is no GPU")


def test_cpu_is_the_cpu(tmp_path):
    """Also where CUDA would be there."""
    session = open_session(dense(tmp_path / "m.onnx"), "cpu")

    assert ["CPUExecutionProvider"] == session.get_providers()


def test_cuda_without_its_libraries_is_refused(tmp_path):
    """ONNX Runtime would have run it on the CPU. The device does not exist anywhere."""
    with pytest.raises(ModelError) as caught:
        open_session(dense(tmp_path / "m.onnx"), "cuda", Gpu(1023))

    assert "CPUExecutionProvider" in str(caught.value) or "cannot load" in str(caught.value)


def test_the_probe_prints_why_in_one_line():
    """For the process that decides what `auto` means, before any worker starts."""
    command = [sys.executable, "-P", "-m", "server.inference.onnx.providers", "1023"]
    probe = subprocess.run(command, capture_output=True, text=True, check=False)

    assert 1 == probe.returncode
    assert 1 == len(probe.stdout.splitlines())
    assert probe.stdout.strip() == cuda_problem(1023)


@pytest.mark.parametrize(
    ("gpu", "told"),
    [
        (Gpu(), {"device_id": "0", "enable_cuda_graph": "0", "prefer_nhwc": "0"}),
        (
            Gpu(3, graphs=True, memory_limit=8_000_000_000, channels_last=True),
            {"device_id": "3", "enable_cuda_graph": "1", "prefer_nhwc": "1", "gpu_mem_limit": "8000000000"},
        ),
    ],
)
def test_cuda_is_told_how_it_is_used(gpu, told):
    """In ONNX Runtime's words; there is no limit of memory where none was given."""
    ours = {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"}

    assert ours | told == cuda_options(gpu)


@pytest.mark.gpu
@needs_gpu
def test_cuda_is_cuda(tmp_path):  # pragma: no cover
    """With the options that keep it from searching and from hoarding."""
    session = open_session(dense(tmp_path / "m.onnx"), "cuda")

    options = session.get_provider_options()["CUDAExecutionProvider"]
    assert "CUDAExecutionProvider" == session.get_providers()[0]
    assert ("HEURISTIC", "kSameAsRequested") == (
        options["cudnn_conv_algo_search"],
        options["arena_extend_strategy"],
    )
    assert cuda_problem(0) is None
