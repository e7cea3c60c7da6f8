"""`tureen bench` as users run it: exit codes, tables, files."""

import json
import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from tests.end_to_end.harness import serving
from tests.photos import photo
from tests.server.commands.bench.scripted import BODY, OK, TIMING, answer, scripted

HANG_GUARD_S = 50
SHORT = ("--duration", "1", "--warmup", "0")
PATIENT = ("--slo", "20s")


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(3):
        (folder / f"{seed}.jpg").write_bytes(photo(seed))
    return folder


def bench(*words, **environ):
    command = [sys.executable, "-m", "server", "bench", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=HANG_GUARD_S, env=os.environ | environ
    )


def test_the_real_server_keeps_its_promise(images, tmp_path):
    """With figures, a JSON file and a page."""
    file, page = tmp_path / "out.json", tmp_path / "out.html"
    with serving(*PATIENT) as server:
        url = f"http://{server.host}:{server.port}"
        run = bench(url, "--images", images, "--rate", "10,20", *SHORT, *PATIENT, "--json", file, "--report", page)

    assert (0, "") == (run.returncode, run.stderr.replace("\n", ""))
    assert re.search(r"^20/s .* kept$", run.stdout, re.MULTILINE)
    whole = json.loads(file.read_text())
    assert ("kept", 2) == (whole["verdict"], len(whole["runs"]))
    assert {"200"} == whole["runs"][1]["outcomes"].keys()
    assert sum(whole["runs"][1]["figures"]["batches"].values()) == whole["runs"][1]["outcomes"]["200"]
    assert 4 == page.read_text().count("<svg")


def test_forms_and_headers_reach_the_real_server(images):
    """A deadline of the client's own is one that cannot be kept, now or ever."""
    with serving() as server:
        url = f"http://{server.host}:{server.port}"
        fine = bench(url, "--images", images, "--multipart", "--connections", "1", *SHORT, *PATIENT)
        late = bench(url, "--images", images, "--header", "X-Request-Timeout-Ms: 1", "--rate", "20", *SHORT)

    assert 0 == fine.returncode
    assert late.returncode in (1, 2)  # 2 where the images themselves are refused
    assert re.search(r"50[34]: |deadline_unmeetable", late.stdout + late.stderr)


def sent(field, request):
    """The value of this header field of a request."""
    return request.lower().partition(field + b": ")[2].split(b"\r\n")[0]


def test_answers_from_the_cache_are_no_measurement(images):
    """Exit code 2, unless that is what is to be measured."""
    cached = answer(headers=TIMING, body=BODY[:-1] + b',"cached":true}')
    with scripted(lambda _: cached) as server:
        run, allowed = (
            bench(server.url, "--images", images, "--rate", "20", *words, *SHORT) for words in ((), ("--allow-cached",))
        )

    assert (2, 0) == (run.returncode, allowed.returncode), allowed.stdout
    assert {b"no-store", b"max-stale"} == {sent(b"cache-control", request) for request in server.requests}
    assert "100.0% of the answers were cached or coalesced" in run.stdout


def test_a_promise_missed(images):
    """Half of the answers are refusals."""
    with scripted(lambda number: OK if number % 2 == 0 else answer(503, b"Retry-After: 3\r\n")) as server:
        run = bench(server.url, "--images", images, "--rate", "40", "--arrivals", "constant", *SHORT)

    assert 1 == run.returncode
    assert re.search(r"^refusals +20, .*come back in 3 s", run.stdout, re.MULTILINE)
    assert re.search(r"^MISSED 50\.00% were good", run.stdout, re.MULTILINE)


def test_several_rates_are_judged_by_the_worst(images):
    """And each has its row."""
    with scripted(lambda number: OK if number < 25 else answer(503)) as server:
        run = bench(server.url, "--images", images, "--rate", "20,40", "--arrivals", "constant", *SHORT)

    assert 1 == run.returncode
    assert ["kept", "missed"] == re.findall(r"^[24]0/s .* (\w+)$", run.stdout, re.MULTILINE)


def test_a_wrong_server_has_no_figure(images, tmp_path):
    """However fast: the labels are checked."""
    labels, file, page = (tmp_path / name for name in ("labels.json", "out.json", "out.html"))
    labels.write_text('{"0.jpg": "soup", "1.jpg": "salad"}')
    with scripted(OK) as server:
        run = bench(server.url, "--images", images, "--expect", labels, "--json", file, "--report", page, *SHORT)

    assert 2 == run.returncode
    assert "NO FIGURE" in run.stdout
    assert "answers are wrong" in run.stdout
    assert "p99" not in run.stdout
    assert ("invalid", False) == (json.loads(file.read_text())["verdict"], "figures" in file.read_text())
    assert "<svg" not in page.read_text()


@pytest.mark.parametrize(
    ("reply", "said"),
    [(answer(404, body=b"no such path"), "answered 404 to a picture: no such path"), (b"SSH-2.0\r\n", "not HTTP")],
)
def test_what_is_no_image_server_has_no_figure(images, reply, said):
    """One request tells, before any load."""
    with scripted(reply) as server:
        run = bench(server.url, "--images", images, *SHORT)

    assert (2, "", True) == (run.returncode, run.stdout, said in run.stderr)
    assert 1 == len(server.requests)


def test_an_absent_server_has_no_figure(images):
    """And no traceback."""
    run = bench("http://127.0.0.1:1", "--images", images, *SHORT)

    assert (2, "") == (run.returncode, run.stdout)
    assert "NO FIGURE http://127.0.0.1:1/v1/images: Connection refused" in run.stderr


def test_a_server_that_refuses_everything_breaks_the_promise(images, tmp_path):
    """Each refusal is an answer: a miss, and no reason to call the measurement invalid."""
    page = tmp_path / "out.html"
    with scripted(answer(503)) as server:
        run = bench(server.url, "--images", images, *SHORT, "--report", page)

    assert (1, True) == (run.returncode, "0.00% were good" in run.stdout)
    assert "503" in page.read_text()


@pytest.mark.long
def test_the_capacity_is_found(images):
    """From a rate to begin with, upwards."""
    with scripted(OK) as server:
        words = ["--find-capacity", "--rate", "20", "--duration", "0.2", "--warmup", "0", "--slo", "150ms"]
        run = bench(server.url, "--images", images, *words, "--arrivals", "constant")

    assert run.returncode in (0, 2)  # 2 where the client is what limits, which a search may meet
    assert re.search(r"capacity: [\d,.e+]+ images/s" if run.returncode == 0 else "the client", run.stdout)


@pytest.mark.parametrize("flags", [("--report", "/no/such/folder/x.html"), ("--json", "/no/such/folder/x")])
def test_what_cannot_be_written_is_said_first(flags):
    """Not after a minute."""
    run = bench("http://127.0.0.1:1", *flags)

    assert (2, True) == (run.returncode, "there is no folder /no/such/folder" in run.stderr)


def test_without_matplotlib_the_extra_is_named(tmp_path):
    """Before anything is measured."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Without:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'matplotlib': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Without())\n"
    )
    run = bench("http://127.0.0.1:1", "--report", tmp_path / "x.html", PYTHONPATH=str(tmp_path))

    assert (2, True) == (run.returncode, "pip install 'tureen[report]'" in run.stderr)


def test_the_page_is_whole(images, tmp_path):
    """Nothing is fetched, every plot is well-formed, and what a server says cannot become markup."""
    page = tmp_path / "out.html"
    with scripted(OK) as server:
        bench(f"{server.url}/?<b>", "--images", images, "--rate", "30", *SHORT, "--report", page)

    text = page.read_text()
    assert not re.search(r'(?:src|href)="(?!#)', text)
    assert "<b>" not in text
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)
