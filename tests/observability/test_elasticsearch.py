"""The prediction log on its way into Elasticsearch: the real client, and a receiver that checks the bulk format."""

import importlib.util
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from tests.end_to_end.harness import serving
from tests.photos import photo
from tests.server.telemetry.test_prediction_log import line, paths, record

FOLDER = Path(__file__).parents[2] / "deploy" / "elasticsearch"
TEMPLATE = json.loads((FOLDER / "index-template.json").read_text())
_TYPES = {
    "keyword": str, "text": str, "date": str, "long": int, "integer": int, "byte": int, "float": (int, float),
    "boolean": bool,
}  # fmt: skip


def shipping():
    """Give the example as a module."""
    spec = importlib.util.spec_from_file_location("ship", FOLDER / "ship.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(properties, value, path=""):
    """Fail for a value that the template does not map, or maps to another type."""
    for name, one in value.items():
        mapping = properties[name]
        for item in one if isinstance(one, list) else [one]:
            if "properties" in mapping:
                check(mapping["properties"], item, f"{path}{name}.")
            else:
                assert isinstance(item, _TYPES[mapping["type"]]), f"{path}{name}"


@contextmanager
def receiver():
    """A `_bulk` that takes documents as Elasticsearch does: create only, an id once, types by the template."""
    documents = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path.split("?")[0] == "/_bulk"
            assert "x-ndjson" in self.headers["content-type"]
            assert body.endswith(b"\n")
            lines = body.splitlines()
            items = [
                self.take(json.loads(head), json.loads(source))
                for head, source in zip(lines[::2], lines[1::2], strict=True)
            ]
            self.answer({"took": 1, "errors": any(one["create"]["status"] >= 300 for one in items), "items": items})

        do_PUT = do_POST  # as the client sends it

        def take(self, head, source):
            ((operation, about),) = head.items()
            assert (operation, about["_index"]) == ("create", "logs-tureen.prediction-default")
            check(TEMPLATE["template"]["mappings"]["properties"], source)
            assert source["@timestamp"]
            status = 409 if about.get("_id") in documents else 201
            documents.setdefault(about.get("_id", len(documents)), source)
            return {"create": {"_index": about["_index"], "_id": about.get("_id"), "status": status}}

        def answer(self, document):
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("content-type", "application/vnd.elasticsearch+json;compatible-with=9")
            self.send_header("x-elastic-product", "Elasticsearch")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield documents, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_servers_log_is_shipped_once(tmp_path):
    """Each answer and each failure is a document; shipping the same lines again adds none."""
    file, ship = tmp_path / "predictions.json", shipping().ship
    with serving("--prediction-log", str(file), "--workers", "1", "--slo", "60s") as server:

        async def run():
            client = await server.connect()
            for number in range(20):
                await client.post(photo(number))
            await client.post(b"no image")

        server.run(run())
    with receiver() as (documents, url), Elasticsearch(url) as client:
        assert 21 == ship(client, file)
        assert 0 == ship(client, file)
        (tmp_path / "predictions.json.offset").unlink()
        assert 1 == ship(client, file)  # the failure, which has no image's id

    outcomes = [one["tureen"]["outcome"] for one in documents.values()]
    assert (20, 2) == (outcomes.count("ok"), outcomes.count("not_an_image"))
    assert all("predictions" in one["tureen"] for one in documents.values() if one["tureen"]["outcome"] == "ok")


@pytest.mark.parametrize("code", ["ok", "model_error"])
def test_the_template_maps_every_field(code):
    """With `dynamic: false` a field that is not mapped could not be searched."""
    check(TEMPLATE["template"]["mappings"]["properties"], line(record(code)))
    assert paths(line(record(code)))
