"""Whether there may be a GPU, from the device files."""

import pytest

from server.process.gpus import may_have_gpu


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["nvidia0", "nvidiactl"], True),
        (["nvidia12"], True),
        (["dxg"], True),
        (["nvidiactl", "null"], False),
        ([], False),
    ],
)
def test_gpus_have_device_files(tmp_path, files, expected):
    """NVIDIA's are numbered; the driver's own control file is no GPU."""
    for name in files:
        (tmp_path / name).touch()

    assert expected == may_have_gpu(tmp_path)
