"""`tureen models`: what is asked of the server, and what is shown of its answer."""

import http.server
import json
import threading

import pytest

from server.commands.models import command
from tests import models
from tests.photos import photo

FOOD = {
    "name": "food",
    "default": "1",
    "versions": [
        {"version": "1", "status": "serving", "digest": "0123456789abcdef", "workers": 2},
        {"version": "2", "status": "failed", "step": "golden", "reason": "one.jpg: the best class is 'dog'\x1b[31m"},
    ],
}


class Server(http.server.ThreadingHTTPServer):
    """Answers everything alike, and remembers what it was asked."""

    def __init__(self):
        self.asked, self.answer = [], (200, FOOD)
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def _answer(self):
        self.server.asked.append((self.command, self.path, self.headers.get("authorization")))
        status, document = self.server.answer
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = _answer

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server():
    server = Server()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("list", ("GET", "/v1/models")),
        ("status food", ("GET", "/v1/models/food")),
        ("load food 2", ("POST", "/v1/models/food/versions/2/load")),
        ("promote food 2 --force", ("POST", "/v1/models/food/versions/2/promote?force=true")),
        ("unload food 2", ("POST", "/v1/models/food/versions/2/unload")),
        ("rollback food", ("POST", "/v1/models/food/rollback")),
        ("status ../x", ("GET", "/v1/models/../x")),
    ],
)
def test_each_action_asks_for_one_thing(server, words, expected, capsys):
    """And shows the model as it is then."""
    assert 0 == command.run([*words.split(), "--url", server.url])

    assert [expected] == [asked[:2] for asked in server.asked]
    assert "food   1        serving  2        0123456789ab" in capsys.readouterr().out


def test_a_failure_is_shown_beside_its_version(server, capsys):
    """With its step; nothing in it reaches the terminal as a control character."""
    command.run(["list", "--url", server.url])

    out = capsys.readouterr().out
    assert "golden: one.jpg: the best class is 'dog'" in out
    assert "\x1b" not in out


def test_the_key_comes_from_a_file(server, tmp_path):
    """So that it stands in no list of processes."""
    (tmp_path / "key").write_text("secret\n")

    command.run(["list", "--url", server.url, "--key", str(tmp_path / "key")])

    assert "Bearer secret" == server.asked[0][2]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((409, {"code": "load_failed", "title": "t", "step": "open", "reason": "it is cut"}), "step open: it is cut"),
        ((404, {"code": "not_found", "title": "t"}), "start it with --models"),
        ((404, {"code": "unknown_model", "title": "none", "served": ["food/1"]}), "(served: food/1)"),
        ((502, {}), "the server answers 502"),
    ],
)
def test_a_refusal_is_told(server, answer, said, capsys):
    """On standard error, with exit code 1."""
    server.answer = answer

    assert 1 == command.run(["promote", "food", "2", "--url", server.url])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "file:///etc/passwd"])
def test_a_server_that_cannot_be_asked_is_told(url, capsys):
    """And nothing but HTTP is asked."""
    assert 1 == command.run(["list", "--url", url])
    assert url in capsys.readouterr().err


def test_golden_answers_are_recorded_from_the_model(tmp_path, capsys):
    """One for each image in the folder."""
    models.dense(tmp_path / "food" / "1" / "model.onnx")
    (tmp_path / "food" / "golden").mkdir()
    (tmp_path / "food" / "golden" / "one.jpg").write_bytes(photo(1))

    assert 0 == command.run(["golden", "record", str(tmp_path / "food"), "--tolerance", "0.02"])

    written = json.loads((tmp_path / "food" / "golden" / "golden.json").read_text())
    assert ({"one.jpg"}, 0.02) == (written["images"].keys(), written["tolerance"])
    assert "1 answers of version 1" in capsys.readouterr().out


def test_without_golden_images_nothing_is_recorded(tmp_path, capsys):
    """It says what is missing."""
    assert 1 == command.run(["golden", "record", str(tmp_path)])
    assert "put images there" in capsys.readouterr().err
