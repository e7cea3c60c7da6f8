"""python infer_triton.py http://127.0.0.1:8080 photo.jpg MODEL: Triton's client, and the best classes by name."""

import sys
from pathlib import Path

import numpy as np
import tritonclient.http as triton

url, photo, name = sys.argv[1:]
client = triton.InferenceServerClient(url.removeprefix("http://"))
model = client.get_model_metadata(name)
output = model["outputs"][0]["name"]

image = triton.InferInput(model["inputs"][0]["name"], [1], "BYTES")  # encoded: the server decodes it
image.set_data_from_numpy(np.array([Path(photo).read_bytes()], dtype=object))
wanted = triton.InferRequestedOutput(output, class_count=3)
print(client.infer(name, [image], outputs=[wanted], timeout=2_000_000).as_numpy(output))
