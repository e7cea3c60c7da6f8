"""`tureen export-web` in a real Chromium: images are prepared and answered as a worker does it."""

import base64
import functools
import http.server
import threading
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from axe_playwright_python.sync_playwright import Axe

from preprocess.limits import Limits
from preprocess.recipe import Recipe
from preprocess.tensor import prepare
from server import demo
from server.commands.export_web.command import run
from server.commands.export_web.description import input_of
from server.inference.model import open_model
from server.models.card import find_model
from server.models.render import answerer
from server.repository.golden import difference
from tests import models
from tests.page.agreement import PAGE, PICTURES, TOLERANCES, family, table
from tests.page.browser import chromium, open_page
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

RUNTIME = Path(__file__).parents[2] / ".venvs" / "web" / "node_modules" / "onnxruntime-web"
TOLERANCE = 1e-5  # of scores; of raw outputs it is a part of the largest value
IMAGENET = {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
RECIPES = {
    "float32": Recipe(width=64, height=48, **IMAGENET),
    "float16": Recipe(width=64, height=48, dtype="float16", **IMAGENET),
    "float64, NHWC": Recipe(width=64, height=48, dtype="float64", layout="NHWC", **IMAGENET),
    "int64": Recipe(width=64, height=48, dtype="int64"),
    "grey": Recipe(width=64, height=48, colour="grey", scale=1 / 255, mean=(0.5,), std=(0.5,)),
    "BGR": Recipe(width=64, height=48, colour="BGR", mean=(103.939, 116.779, 123.68)),
    "stretch": Recipe(width=64, height=48, fit="stretch", dtype="uint8"),
    "contain": Recipe(width=64, height=80, fit="contain", pad=(124, 116, 104), resample="bicubic", dtype="uint8"),
    "contain, BGR": Recipe(width=90, height=64, fit="contain", pad=(1, 2, 3), colour="BGR", dtype="uint8"),
    "nearest": Recipe(width=64, height=48, resample="nearest", dtype="uint8"),
    "lanczos, larger": Recipe(width=300, height=300, resample="lanczos", dtype="uint8"),
}
_PREPARE = """async ([data, input]) => {
    const {pixels, tensor} = await import("./recipe.js");
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const values = tensor(await pixels(bytes), input, bytes[0] === 0xff && bytes[1] === 0xd8);
    return btoa(Array.from(new Uint8Array(values.buffer), (each) => String.fromCharCode(each)).join(""));
}"""
_ANSWER = """async ([base, data]) => {
    const {open} = await import("./tureen.js");
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const {timing, ...members} = await (await open(new URL(base, location.href))).answer(new Blob([bytes]));
    return members;
}"""


class _Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the demo model's page, and its address."""
    folder = tmp_path_factory.mktemp("site")
    export(demo.FOLDER, folder)
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def page(site, browser):
    with open_page(browser, site[1]) as found:
        found.locator("#file:enabled").wait_for()
        yield found


def export(model, folder):
    assert 0 == run([str(model), str(folder), "--runtime", str(RUNTIME)])


def text(data):
    return base64.b64encode(data).decode()


def prepared(page, data, recipe):
    """The tensor as the browser makes it, and as a worker does."""
    there = base64.b64decode(page.evaluate(_PREPARE, [text(data), input_of(recipe)]))
    here = np.zeros(recipe.shape, recipe.dtype)
    prepare(data, recipe, here, Limits())
    return np.frombuffer(there, recipe.dtype).reshape(recipe.shape), here


@pytest.mark.parametrize(("form", "kind"), PICTURES, ids=lambda part: part)
def test_each_picture_becomes_the_same_tensor(page, form, kind):
    """Every format and orientation that the browser reads, within the tolerance of the document."""
    there, here = prepared(page, PICTURES[form, kind](), Recipe(width=64, height=64, dtype="uint8"))

    apart = np.abs(there.astype(int) - here.astype(int))
    mean, largest = TOLERANCES[family(form, kind)]
    assert apart.mean() <= mean
    assert apart.max() <= largest


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_each_recipe_gives_the_same_bytes(page, recipe):
    """Every fit, filter, layout, element type and colour, in each bit."""
    there, here = prepared(page, photo(3, 181, 119, "PNG"), recipe)

    assert there.tobytes() == here.tobytes()


def test_the_document_lists_the_tolerances():
    """Those of this test."""
    assert table() in PAGE.read_text()


def fixed_batch(path):
    """Four images at once, whatever there are."""
    return models.dense(path, batch=4)


def with_weights_beside(path):
    """The weights are in a file of their own."""
    model = onnx.load(models.dense(path))
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


@pytest.mark.parametrize(
    "build",
    [models.one_score, models.three_outputs, models.half, models.bytes_last, fixed_batch, with_weights_beside],
    ids=lambda build: build.__name__,
)
def test_each_kind_of_model_gives_the_same_answer(site, page, build, capsys):
    """Classes, a score, raw outputs; float16 and bytes; a fixed batch; weights in a file of their own."""
    folder, _ = site
    path = build(folder / "models" / build.__name__ / "model.onnx")
    export(path, folder / build.__name__)
    image = photo(5, form="PNG")

    there = page.evaluate(_ANSWER, [f"{build.__name__}/", text(image)])

    assert "" == difference(answered(path, image), there, TOLERANCE)


def answered(path, image):
    """The members of a worker's answer."""
    model = open_model(find_model(path), 1)
    prepare(image, model.session.slot_recipe, model.session.slots[0], Limits())
    row = [part[0] for part in model.session.run([0])]
    return msgspec.json.decode(b"{%b}" % answerer(model.output)(row))


def test_the_page_answers_what_is_chosen(page):
    """Labels, score and tip as the server gives them; a file that is no image is named; nothing leaves the browser."""
    files = [
        {"name": "plate.jpg", "mimeType": "image/jpeg", "buffer": photo(5)},
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"not an image"},
    ]
    page.set_input_files("#file", files)
    page.get_by_text("This browser cannot read it as an image.").wait_for()

    shown = page.locator("#results li").nth(1).inner_text()
    expected = answered(demo.FOLDER, photo(5))
    assert expected["predictions"][0]["label"] in shown
    assert expected["tip"] in shown
    assert [] == [each["id"] for each in Axe().run(page).response["violations"] if each["impact"] != "minor"]


def test_without_the_runtime_nothing_is_written(tmp_path, capsys):
    """Nothing is fetched; the message says what to run."""
    assert 1 == run([str(demo.FOLDER), str(tmp_path / "site"), "--runtime", str(tmp_path)])

    assert "npm install" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()
