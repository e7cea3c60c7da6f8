"""A model behind MLServer: its documented way, a class with `load` and `predict`. MLServer imports it by itself."""

import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Onnx(MLModel):
    """Runs the file that the settings name, on one thread, as Tureen's worker does."""

    async def load(self) -> bool:
        """Open the model."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(self.settings.parameters.uri, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Run one request."""
        given = payload.inputs[0]
        names = [one.name for one in self._session.get_outputs()]
        values = self._session.run(names, {given.name: NumpyCodec.decode_input(given)})
        outputs = [NumpyCodec.encode_output(name, value) for name, value in zip(names, values, strict=True)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
