"""Which model a name and a version stand for: the one function through which both protocols address models."""

from batcher import NoExecutor
from server.contract.errors import UnknownModel
from server.contract.metadata import ModelMetadata
from server.engine import Intake

_RETRY_S = 1.0


def served(engine: Intake) -> list[ModelMetadata]:
    """All models that answer."""
    model = engine.status().model
    return [model] if model else []


def find(engine: Intake, name: str, version: str = "") -> ModelMetadata:
    """The model of this name; no version is the one served by default. Raises `UnknownModel`, and `NoExecutor` while
    no model is ready."""
    models = served(engine)
    if not models:
        raise NoExecutor("no model is ready", _RETRY_S)
    for model in models:
        if model.name == name and version in ("", model.version):
            return model
    raise UnknownModel("served here: " + ", ".join(f"{model.name}, version {model.version}" for model in models))


def versions(engine: Intake, name: str) -> list[str]:
    """The versions of a model that answer."""
    return [model.version for model in served(engine) if model.name == name]


def is_ready(engine: Intake, model: ModelMetadata) -> bool:
    """Whether this model could take a task now."""
    return engine.status().ready


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


PLATFORM = "onnxruntime_onnx"


def _config_tensor(name: str, dtype: str, shape: tuple[int, ...]) -> dict[str, object]:
    return {"name": name, "data_type": f"TYPE_{dtype}", "dims": list(shape[1:])}
