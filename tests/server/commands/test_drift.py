"""`tureen drift`: a reference of images that are kept, and what the report shows."""

import msgspec
import pytest

from server.cleanup.item import encode_record, original_name, record_name
from server.cleanup.stores import FolderStore
from server.commands.drift.command import run
from server.drift.reference import LEAST_LOOKS, load
from server.drift.view import Bars, VersionView, WindowView
from server.drift.windows import Shift
from tests import models
from tests.photos import photo
from tests.server.cleanup.samples import item
from tests.server.commands.test_models import Server

SHIFT = Shift("brightness", psi=0.3, p=1e-9, shifted=True, reference_mean=0.5, window_mean=0.4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of models, and a `store`: as many of its images as a reference needs, one of another model, a wreck."""
    folder = tmp_path_factory.mktemp("drift")
    models.dense(folder / "food" / "1" / "model.onnx")
    store, photos = FolderStore(folder / "store"), [photo(seed) for seed in range(8)]
    for number in range(LEAST_LOOKS + 1):
        made = item(photos[number % len(photos)], model="food" if number else "other")
        store.put(original_name(made.record), made.original, "image/jpeg")
        store.put(record_name(made.record.id), encode_record(made.record), "application/json")
    store.put("2026-11-28/wreck.json", b"{", "application/json")
    return folder


def reference(folder, *words):
    return run(["reference", "food", "1", "--models", str(folder), "--store", str(folder / "store"), *words])


def test_a_reference_is_made_of_images_that_are_kept(folder, capsys):
    """Of this model's, each looked at anew, and saved with the version."""
    assert 0 == reference(folder)

    made = load(folder / "food" / "1")
    assert str(folder / "food" / "1") in capsys.readouterr().out
    assert (LEAST_LOOKS, LEAST_LOOKS) == (made.looks, sum(made.classes.values()))
    assert {"brightness", "sharpness", "confidence"} <= made.numbers.keys()


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--looks", "99"), "at least 500 images, got 99"), (("--store", "/nowhere/at/all"), "got 0")],
)
def test_too_few_images_are_no_reference(folder, words, said, capsys):
    """Exit code 1, and the reason."""
    assert 1 == reference(folder, *words)
    assert said in capsys.readouterr().err


@pytest.fixture
def server():
    """A server on which one version drifts, and another one has no reference."""
    server = Server()
    shown = {"made": "2026-11-28T09:00:00+00:00", "reference_looks": 500, "collecting": 0, "window": 500, "filled": 3}
    drifts = VersionView(
        version="4", since=1_780_000_000.0, alarms=1, shifts=(SHIFT,), **shown,
        windows=tuple(WindowView(1_780_000_000.0 + at, True, ("brightness",), {"brightness": 0.3}) for at in (0, 60)),
        bars=(Bars("brightness", ("0", "0.5"), (0.5, 0.5), (0.9, 0.1)),),
    )  # fmt: skip
    without = msgspec.structs.replace(drifts, version="3", made="", since=None, shifts=(), windows=(), bars=())
    server.answer = (200, {"versions": msgspec.to_builtins((drifts, without))})
    yield server
    server.shutdown()
    server.server_close()


def test_the_report_says_what_has_shifted_and_since_when(server, capsys):
    """And what to do where there is no reference."""
    assert 0 == run(["report", "food", "--url", server.url])

    out = capsys.readouterr().out
    assert "food 4: DRIFT since 2026-05-28" in out
    assert "brightness      0.5         0.4         0.300   1e-09     shifted" in out
    assert "food 3: no reference: make one with `tureen drift reference`" in out
    assert [("GET", "/v1/models/food/drift")] == [asked[:2] for asked in server.asked]


def test_the_report_is_a_page_with_plots(server, tmp_path):
    """One of the distributions, and one of the windows."""
    assert 0 == run(["report", "food", "--html", str(tmp_path / "drift.html"), "--url", server.url])

    assert 2 == (tmp_path / "drift.html").read_text().count("<svg")
