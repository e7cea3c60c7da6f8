"""What an engine makes of its settings."""

from pathlib import Path

from server.contract.wire import Load
from server.engine.lane import load_for
from server.fleet.layout.choose import Layout
from server.fleet.layout.placement import LayoutChoice, LayoutPlan, Placement
from server.process.cpus import usable_cpus
from server.settings import load_settings

FOLDER = Path(__file__).parent
PLAN = LayoutPlan(LayoutChoice(Layout(1, 1), 0, ""))


def test_workers_are_told_how_the_gpu_is_used():
    """Its index, its graphs and what a model may take of its memory; the CPUs decode beside it."""
    flags = ["--provider", "cuda:3", "--cuda-graphs", "off", "--gpu-memory-limit", "8GB", "--precision", "fp16"]
    settings = load_settings([*flags, "--max-batch", "64", "--max-pixels", "9M"], {})
    load = load_for(settings, FOLDER, Placement("cuda", 3, ""), PLAN)

    assert load == Load(
        model=str(FOLDER),
        max_batch=64,
        max_pixels=9_000_000,
        provider="cuda",
        device=3,
        decoders=usable_cpus(),
        cuda_graphs=False,
        gpu_memory_limit=8_000_000_000,
        precision="fp16",
    )


def test_cpus_compute_as_the_model_is():
    """They only lose by float16, and record nothing: these are the GPU's settings."""
    load = load_for(load_settings(["--precision", "fp16"], {}), FOLDER, Placement("cpu", 0, ""), PLAN)

    assert ("model", False) == (load.precision, load.cuda_graphs)


def test_a_gpu_is_used_as_a_whole_unless_told_otherwise():
    """Its graphs recorded, its memory without a limit."""
    load = load_for(load_settings([], {}), FOLDER, Placement("cuda", 0, ""), PLAN)

    assert (True, 0) == (load.cuda_graphs, load.gpu_memory_limit)
