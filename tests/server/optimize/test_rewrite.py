"""`optimize.toml`: written and read."""

import pytest

from server.optimize.errors import OptimizeError
from server.optimize.rewrite import Recorded, Rewrite, dump, load


def test_the_file_says_the_same_when_it_is_read(tmp_path):
    """To the last digit of every range, whatever the tensors are called."""
    ranges = {'/a.b/c "d"': (-0.1, 1 / 3), "e": (0.0, 1e-30)}
    recorded = Recorded("a" * 64, "b" * 64, "c" * 64, {"onnx": "1.23.2"},
                        Rewrite("int8", "entropy", True, ("conv_1", "conv_2"), 0.5, ranges))  # fmt: skip
    (tmp_path / "optimize.toml").write_text(dump(recorded))

    assert recorded == load(tmp_path / "optimize.toml")


@pytest.mark.parametrize("text", ["", "[ranges]\n", "rewrite = 3\n[ranges]\n", "="])
def test_another_file_is_refused(tmp_path, text):
    """With its name."""
    (tmp_path / "other.toml").write_text(text)

    with pytest.raises(OptimizeError, match=r"other.toml is no optimize.toml"):
        load(tmp_path / "other.toml")


@pytest.mark.parametrize(
    ("rewrite", "words"),
    [
        (Rewrite(), "optimised graph"),
        (Rewrite("int8", "min-max"), "static INT8, min-max"),
        (Rewrite("int8", "entropy", True, ("a",)), "static INT8, entropy, 7-bit weights, 1 layer in float"),
    ],
)
def test_a_rewrite_names_itself(rewrite, words):
    """As tables do."""
    assert words == str(rewrite)
