"""Static and dynamic INT8 by ONNX Runtime's own quantiser. Every result is a function of the file and the rewrite."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.models.errors import in_one_line
from server.optimize.errors import OptimizeError
from server.optimize.graph import Prepared, quiet
from server.optimize.prune import Proto, zero_smallest
from server.optimize.rewrite import Rewrite

Ranges = Mapping[str, tuple[float, float]]
Batches = Callable[[], Iterator[Mapping[str, NDArray[Any]]]]
"""Gives the calibration pictures anew: the model's inputs, a few pictures at a time."""

PERCENTILES = (99.99, 99.999)
PASSES = 3  # over the calibration pictures
METHODS = ("min-max", *(f"percentile {percentile:g}" for percentile in PERCENTILES), "entropy")


def ranges_of(prepared: Prepared, batches: Batches, told: Callable[[], None]) -> dict[str, Ranges]:
    """The range of each tensor by each method. `told` is called after each batch. Raises `OptimizeError`."""
    from onnxruntime.quantization import CalibrationMethod

    found: dict[str, Ranges] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="tureen-optimize-") as name, quiet():
            for method in (CalibrationMethod.MinMax, CalibrationMethod.Percentile, CalibrationMethod.Entropy):
                calibrator = _calibrator(prepared.file, Path(name) / "augmented.onnx", method)
                for inputs in batches():
                    calibrator.collect_data(_Reader([inputs]))
                    told()
                if method is CalibrationMethod.Percentile:
                    for percentile in PERCENTILES:
                        calibrator.collector.percentile = percentile
                        found[f"percentile {percentile:g}"] = _pairs(calibrator.compute_data())
                else:
                    label = "min-max" if method is CalibrationMethod.MinMax else "entropy"
                    found[label] = _pairs(calibrator.compute_data())
    except Exception as error:  # as in graph.prepare
        raise OptimizeError(f"its tensors cannot be calibrated: {in_one_line(error)}") from error
    return found


def rewritten(prepared: Prepared, rewrite: Rewrite, out: Path, only: Sequence[str] = ()) -> Path:
    """Write the rewritten model. `only`: quantise just these nodes. Raises `OptimizeError`."""
    make = {"float": _float, "int8": _static, "dynamic-int8": _dynamic}[rewrite.precision]
    try:
        with quiet():
            make(prepared, rewrite, out, only)
    except Exception as error:  # as above
        raise OptimizeError(f"{rewrite} is not possible: {in_one_line(error)}") from error
    return out


def _float(prepared: Prepared, rewrite: Rewrite, out: Path, only: Sequence[str]) -> None:
    """ONNX Runtime's graph optimisation, saved: what holds on every machine, not the layouts of this one."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(out)
    options.log_severity_level = 4
    source = str(prepared.file)
    if rewrite.pruned:
        import onnx

        model = onnx.load(source)
        zero_smallest(model, rewrite.pruned)
        source = f"{out}.pruned"
        onnx.save(model, source)
    ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _static(prepared: Prepared, rewrite: Rewrite, out: Path, only: Sequence[str]) -> None:
    from onnxruntime.quantization import CalibrationMethod, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import TensorData, TensorsData, save_tensors_data

    data = {name: TensorData(lowest=np.float32(low), highest=np.float32(high))
            for name, (low, high) in rewrite.ranges.items()}  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="tureen-optimize-") as folder:
        ranges = Path(folder) / "ranges.json"
        save_tensors_data(TensorsData(CalibrationMethod.MinMax, data), ranges)
        quantize_static(
            str(prepared.file), str(out), None,
            per_channel=True, reduce_range=rewrite.seven_bits, activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8, nodes_to_quantize=list(only), nodes_to_exclude=list(rewrite.kept),
            calibration_cache_path=ranges, extra_options={"MatMulConstBOnly": True},
        )  # fmt: skip


def _dynamic(prepared: Prepared, rewrite: Rewrite, out: Path, only: Sequence[str]) -> None:
    """Matrix products only: a convolution quantised dynamically is many times slower than in float."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(prepared.file), str(out), op_types_to_quantize=["MatMul"], per_channel=True,
        reduce_range=rewrite.seven_bits, weight_type=QuantType.QInt8, nodes_to_quantize=list(only),
        nodes_to_exclude=list(rewrite.kept), extra_options={"MatMulConstBOnly": True},
    )  # fmt: skip


def _calibrator(model: Path, augmented: Path, method: Proto) -> Proto:
    from onnxruntime.quantization.calibrate import create_calibrator

    return create_calibrator(model, None, str(augmented), method, extra_options={"symmetric": False})


def _pairs(data: Proto) -> Ranges:
    return {name: (float(np.min(one.lowest)), float(np.max(one.highest))) for name, one in data.items()}


class _Reader:
    """What a calibrator reads: `get_next` gives inputs, then None."""

    def __init__(self, batches: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        self._rest = iter(batches)

    def get_next(self) -> Mapping[str, NDArray[Any]] | None:
        """The next batch."""
        return next(self._rest, None)
