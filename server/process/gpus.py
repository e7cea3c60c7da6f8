"""Whether there may be a GPU to compute on, told by its device files: no driver is loaded for the question."""

from pathlib import Path


def may_have_gpu(devices: Path = Path("/dev")) -> bool:
    """NVIDIA's device files, or WSL's; a container sees them only if it was given a GPU."""
    return any(devices.glob("nvidia[0-9]*")) or (devices / "dxg").exists()
