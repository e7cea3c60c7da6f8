"""Triton's own Python client, unmodified, as an operator: prints what it saw as JSON. Run by test_repository.py.

python triton_repository.py http|grpc ADDRESS KEY MODEL
"""

import importlib
import json
import sys

KIND, ADDRESS, KEY, MODEL = sys.argv[1:]
triton = importlib.import_module(f"tritonclient.{KIND}")


def refused(call, *arguments, **options):
    """Give the error that a call raises."""
    try:
        call(*arguments, **options)
    except triton.InferenceServerException as error:
        return [str(error.status()), error.message()]
    return "it was done"


client = triton.InferenceServerClient(ADDRESS)
headers = {"authorization": f"Bearer {KEY}"}
options = {"headers": headers, **({"as_json": True} if KIND == "grpc" else {})}
seen = {"before": client.get_model_repository_index(**options)}
client.load_model(MODEL, headers=headers)
seen["after"] = client.get_model_repository_index(**options)
seen["unload"] = refused(client.unload_model, MODEL, headers=headers)
seen["config"] = refused(client.load_model, MODEL, headers=headers, config="{}")
seen["unknown"] = refused(client.load_model, "drinks", headers=headers)
seen["keyless"] = refused(client.get_model_repository_index)
json.dump(seen, sys.stdout)
