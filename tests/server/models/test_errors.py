"""What is said of an error of ONNX Runtime's."""

import pytest

from server.models.errors import in_one_line

CUDA = (
    "/ort/cuda_call.cc:146 std::conditional_t<THRW, void, Status> onnxruntime::CudaCall(ERRTYPE, const char*) [with"
    " ERRTYPE = cudaError; bool THRW = true] {} ; GPU=0 ; hostname=inner ; file=/ort/provider.cc ; line=355 ;"
    " expr=cudaSetDevice(info_.device_id);"
)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Load model failed:\n  it is\tnone", "Load model failed: it is none"),
        (CUDA.format("CUDA failure 2: out of memory"), "CUDA failure 2: out of memory"),
        (
            CUDA.format("CUBLAS failure 3: the resource allocation failed"),
            "CUBLAS failure 3: the resource allocation failed",
        ),
        ("CUDNN failure 4: CUDNN_STATUS_NOT_SUPPORTED", "CUDNN failure 4: CUDNN_STATUS_NOT_SUPPORTED"),
    ],
)
def test_an_error_is_put_in_one_line_and_one_of_cuda_in_its_own_words(said, words):
    """Not with the signatures it comes with, nor the host's name."""
    assert words == in_one_line(RuntimeError(said))
