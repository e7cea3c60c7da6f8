"""GPU metrics through NVML, where there is a GPU: read at each scrape. Needs the extra `nvml`."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from server.process.gpus import may_have_gpu

_FIGURES = {
    "utilisation_ratio": "Share of the time in which the GPU ran something",
    "memory_used_bytes": "GPU memory in use, by all processes",
    "memory_bytes": "GPU memory there is",
    "temperature_celsius": "Temperature of the GPU",
    "power_watts": "Power that the GPU draws",
}


class GpuMetrics(Collector):
    """One sample per GPU that this machine has. What the driver does not tell is left out."""

    def __init__(self, nvml: Any) -> None:  # noqa: ANN401 - a module without types
        """`nvml`: the module pynvml, initialised."""
        self._nvml = nvml

    def collect(self) -> Iterator[Metric]:
        """As `Collector.collect`."""
        families = {
            name: GaugeMetricFamily(
                f"tureen_gpu_{name}", f"{text}; with the extra nvml, where there is a GPU", labels=["gpu"]
            )
            for name, text in _FIGURES.items()
        }
        for index in range(self._nvml.nvmlDeviceGetCount()):
            for name, value in self._figures(index):
                families[name].add_metric([str(index)], value)
        yield from families.values()

    def _figures(self, index: int) -> Iterator[tuple[str, float]]:
        nvml = self._nvml
        device = nvml.nvmlDeviceGetHandleByIndex(index)
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(device)
            yield "memory_used_bytes", float(memory.used)
            yield "memory_bytes", float(memory.total)
            yield "utilisation_ratio", nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100
            yield "temperature_celsius", float(nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU))
            yield "power_watts", nvml.nvmlDeviceGetPowerUsage(device) / 1000
        except nvml.NVMLError:  # a virtual GPU knows less
            return


def gpu_metrics() -> GpuMetrics | None:
    """None without the extra, without a GPU, or where the driver does not answer."""
    if not may_have_gpu() or not find_spec("pynvml"):
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return GpuMetrics(pynvml)
