"""Models that cannot be served say so: what was found, and what is needed."""

import pytest

from server.inference.card import ModelError, find_model
from server.inference.session import Session, digest
from tests.models import dense, two_inputs


def opened(path):
    located = find_model(path)
    return Session(located.model_file, located.card, 4)


def test_two_inputs_are_refused(tmp_path):
    """Which of them would be the image?"""
    with pytest.raises(ModelError, match="2 inputs"):
        opened(two_inputs(tmp_path / "m.onnx"))


def test_file_that_is_no_model_is_refused(tmp_path):
    """ONNX Runtime's reason is passed on."""
    path = tmp_path / "m.onnx"
    path.write_bytes(b"not a model")

    with pytest.raises(ModelError, match="ONNX Runtime cannot load it"):
        opened(path)


def test_session_has_one_thread_and_the_cpu_provider(tmp_path):
    """One worker a core: more threads would only fight."""
    session = opened(dense(tmp_path / "m.onnx"))

    options = session._session.get_session_options()
    assert (1, 1) == (options.intra_op_num_threads, options.inter_op_num_threads)
    assert "0" == options.get_session_config_entry("session.intra_op.allow_spinning")
    assert "CPUExecutionProvider" == session.provider


def test_digest_is_of_the_files_bytes(tmp_path):
    """The same file has the same digest wherever it lies."""
    first, second = dense(tmp_path / "a.onnx"), dense(tmp_path / "b.onnx")

    assert digest(first) == digest(second)
    assert digest(first) != digest(dense(tmp_path / "c.onnx", hidden=(65,)))
