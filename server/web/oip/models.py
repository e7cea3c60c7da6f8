"""Which model a name and a version stand for: the one place through which both protocols address models."""

from batcher import NoExecutor
from server.contract.errors import UnknownModel
from server.contract.metadata import ModelMetadata
from server.engine import Intake

PLATFORM = "onnxruntime_onnx"
_RETRY_S = 1.0


def served(engine: Intake) -> list[ModelMetadata]:
    """All versions of all models that answer, the default version of each model before its others."""
    lanes = [lane for lane in engine.status().lanes if lane.takes_traffic]
    lanes.sort(key=lambda lane: lane.stage != "serving")
    return [lane.metadata for lane in lanes if lane.metadata]


def find(engine: Intake, name: str, version: str = "") -> ModelMetadata:
    """The model of this name; no version is the one served by default. Raises `UnknownModel`, and `NoExecutor` while
    none is ready, or this one is not yet."""
    for model in served(engine):
        if model.name == name and version in ("", model.version):
            return model
    lanes = engine.status().lanes
    if not lanes or any((lane.model, version) in ((name, ""), (name, lane.version)) for lane in lanes):
        raise NoExecutor("the model is not ready", _RETRY_S)
    raise unknown(engine)


def unknown(engine: Intake) -> UnknownModel:
    """No such model: the error that says what is served."""
    return UnknownModel(*(f"{model.name}/{model.version}" for model in served(engine)))


def versions(engine: Intake, name: str) -> list[str]:
    """The versions of a model that answer."""
    return [model.version for model in served(engine) if model.name == name]


def is_ready(engine: Intake, model: ModelMetadata) -> bool:
    """Whether this version could take a task now."""
    return any((one.name, one.version) == (model.name, model.version) for one in served(engine))


def config(model: ModelMetadata, max_batch: int) -> dict[str, object]:
    """The model's configuration, as far as it has what Triton's clients look for."""
    return {
        "name": model.name,
        "platform": PLATFORM,
        "backend": "onnxruntime",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": max_batch,
        "input": [_config_tensor(spec.name, spec.dtype, spec.shape) for spec in model.inputs],
        "output": [_config_tensor(spec.name, spec.dtype, spec.shape) for spec in model.outputs],
        "dynamic_batching": {},
    }


def _config_tensor(name: str, dtype: str, shape: tuple[int, ...]) -> dict[str, object]:
    return {"name": name, "data_type": f"TYPE_{dtype}", "dims": list(shape[1:])}
