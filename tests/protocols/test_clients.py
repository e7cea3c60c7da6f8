"""The programs in docs/clients, as a reader runs them, against a real server."""

import ast
import json
import os
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import playwright
import pytest

from server import demo as demo_model
from tests.end_to_end.harness import serving
from tests.page.browser import chromium
from tests.photos import photo
from tests.protocols.conftest import ROOT, TRITON
from tests.protocols.test_rest import send
from tests.reference import Reference
from tests.security.keys import add_key

pytestmark = pytest.mark.timeout(120)

CLIENTS = ROOT / "docs" / "clients"
NODE = Path(playwright.__file__).parent / "driver" / "node"
PROGRAMS = {
    "upload.sh": ["sh"],
    "upload_tureen.py": [sys.executable],
    "upload_requests.py": [sys.executable],
    "upload.mjs": [NODE],
    "Upload.java": ["java"],
}
PHOTO = photo(71)


@pytest.fixture(scope="module")
def pages():
    """Give the address of a server of files, with the page among them."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=CLIENTS))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    """Without a log."""

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def served(tmp_path_factory, pages):
    """Give the address of a server that asks for a key, the key, and a file with a photo."""
    folder = tmp_path_factory.mktemp("clients")
    (folder / "photo.jpg").write_bytes(PHOTO)
    (folder / "tureen_client").symlink_to(ROOT / "server" / "client")  # as its package installs it
    key = add_key(folder / "keys.json", "client", "infer", "metrics")
    flags = ("--workers", "1", "--slo", "30s", "--keys", str(folder / "keys.json"))
    with serving(*flags, admin=key) as server:
        yield f"http://{server.host}:{server.port}", key, folder / "photo.jpg"


def run(command, url, photo_file, key, *arguments):
    """Give what a program prints."""
    environ = {**os.environ, "TUREEN_KEY": key, "PYTHONPATH": str(photo_file.parent)}
    command = [*map(str, command), url, str(photo_file), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, env=environ)
    assert not done.returncode, done.stderr + done.stdout
    return done.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_prints_the_answer(served, program):
    """With a key; the answer is the model's."""
    url, key, photo_file = served

    printed = run([*PROGRAMS[program], CLIENTS / program], url, photo_file, key)

    answer = ast.literal_eval(printed) if program == "upload_tureen.py" else json.loads(printed)
    assert Reference(demo_model.FOLDER).agrees(PHOTO, answer)


def test_every_program_is_tried():
    """A new file in the folder needs a test."""
    tried = {*PROGRAMS, "infer_triton.py", "upload.html", "README.md"}

    assert tried == {path.name for path in CLIENTS.iterdir()}
    assert all(f"({name})" in (CLIENTS / "README.md").read_text() for name in tried - {"README.md"})


def test_tritons_client_prints_the_classes(demo, tmp_path):
    """By their names."""
    photo_file = tmp_path / "photo.jpg"
    photo_file.write_bytes(PHOTO)
    url = f"http://{demo.host}:{demo.port}"

    printed = run([TRITON, CLIENTS / "infer_triton.py"], url, photo_file, "", "colourfulness")

    best = send(demo, "POST", "/v1/images", PHOTO).json()["predictions"][0]["label"]
    assert best in printed


def test_the_page_shows_the_answer(pages, tmp_path):
    """From another origin, which the server lets in."""
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    flags = ("--workers", "1", "--slo", "30s", "--cors-origins", pages)
    with serving(*flags) as server, chromium() as browser:
        page = browser.new_page()
        page.goto(f"{pages}/upload.html?server=http://{server.host}:{server.port}")
        page.set_input_files("input", tmp_path / "photo.jpg")
        page.wait_for_function("document.querySelector('pre').textContent.startsWith('{')")
        answer = json.loads(page.inner_text("pre"))

    assert Reference(demo_model.FOLDER).agrees(PHOTO, answer)
