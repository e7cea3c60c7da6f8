"""`tureen validate`: what stops a model, and by which exit code."""

import json
import shutil

import numpy as np
import pytest
import structlog
from onnx import TensorProto, helper

from server import demo
from server.commands.validate import checks
from server.commands.validate.command import run
from server.repository.golden import Golden
from tests import models
from tests.photos import photo

CAT, DOG = ({"predictions": [{"label": label, "score": 0.9}]} for label in ("cat", "dog"))


def outcomes(file):
    """Give the outcome of each check of a report."""
    return {check["check"]: check["outcome"] for check in json.loads(file.read_text())["checks"]}


def constant(path):
    """A model of the demo's form that gives every image the same answer."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["means", "zero"], ["nothing"]),
        helper.make_node("Unsqueeze", ["nothing", "one"], ["column"]),
        helper.make_node("Add", ["column", "answer"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    values = {
        "zero": np.zeros(1, np.float32),
        "one": np.array([1], np.int64),
        "answer": np.array([[9, 0, 0, 0, 0, 0, 0]], np.float32),
    }
    image = ("image", TensorProto.FLOAT, ["N", 3, 224, 224])
    return models.save(path, nodes, values, [image], [("probabilities", TensorProto.FLOAT, ["N", 7])])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The demo model with golden images as version 1, and as version 2 one that answers everything alike."""
    folder = tmp_path_factory.mktemp("models") / "food"
    shutil.copytree(demo.FOLDER, folder)
    (folder / "golden").mkdir()
    for number in range(4):
        (folder / "golden" / f"{number}.jpg").write_bytes(photo(number))
    assert 0 == record(folder)
    (folder / "2").mkdir()
    constant(folder / "2" / "model.onnx")
    return folder


def record(folder):
    from server.commands.models.command import run as models_command

    return models_command(["golden", "record", str(folder)])


def test_a_good_model_passes_every_check(model, tmp_path, capsys):
    """Its card, size, golden images and latency; the exit code is 0, even if warnings count."""
    report = tmp_path / "report.json"

    code = run([str(model / "1"), "--max-size", "1MB", "--latency", "60s", "--strict", "--json", str(report)])

    found = outcomes(report)
    assert (0, {"pass"}) == (code, {*found.values()})
    assert ["files", "size", "open", "card", "golden", "latency"] == list(found)
    assert "food 1 may be released" in capsys.readouterr().out


def test_a_bad_model_stops_the_pipeline(model, tmp_path, capsys):
    """It answers golden images wrongly and agrees with nothing; it is too large and too slow, each said in one run."""
    report = tmp_path / "report.json"

    words = ["--against", str(model / "1"), "--max-size", "100", "--latency", "1ms", "--json", str(report)]
    code = run([str(model / "2"), *words])

    found = outcomes(report)
    assert (1, "pass") == (code, found["contract"])
    assert {"size", "golden", "agreement"} <= {name for name, outcome in found.items() if outcome == "fail"}
    assert "food 2 must not be released" in capsys.readouterr().out


@pytest.fixture(autouse=True)
def as_it_starts():
    """Logs as a fresh process has them: tests that capture logs leave structlog configured."""
    structlog.reset_defaults()


@pytest.mark.parametrize("content", [None, b"no model"])
def test_what_cannot_be_opened_fails(tmp_path, capsys, content):
    """A model that is missing, or is none, is a failure with its reason, not a traceback."""
    path = tmp_path / "food.onnx"
    if content is not None:
        path.write_bytes(content)

    assert 1 == run([str(path), "--json", "-"])
    document = json.loads(capsys.readouterr().out)
    assert (False, "fail") == (document["valid"], document["checks"][-1]["outcome"])


def test_a_changed_file_fails(tmp_path, capsys):
    """`SHA256SUMS` beside the model tells."""
    models.dense(tmp_path / "food" / "1" / "model.onnx")
    (tmp_path / "food" / "1" / "SHA256SUMS").write_text(f"{'0' * 64}  model.onnx\n")

    assert 1 == run([str(tmp_path / "food")])
    assert "its SHA-256 is" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["m", "--latency", "3x"], ["m", "--agreement", "2"], ["m", "--max-size", "0"]])
def test_usage_errors_have_a_code_of_their_own(words, capsys):
    """2, so that a pipeline tells a mistyped flag from a bad model."""
    with pytest.raises(SystemExit) as stopped:
        run(words)

    assert 2 == stopped.value.code


def test_agreement_counts_images_answered_alike():
    """An image that only one version answers differs."""
    check = checks.of_agreement({"a": CAT, "b": CAT, "c": DOG}, {"a": CAT, "b": DOG, "c": "image_corrupt"}, 0.5)

    assert ("fail", {"b": "cat -> dog", "c": "dog -> image_corrupt"}) == (check.outcome, check.figures["changed"])
    assert "pass" == checks.of_agreement({"a": CAT, "b": CAT}, {"a": CAT, "b": DOG}, 0.5).outcome
    assert "fail" == checks.of_agreement({}, {}, 0.0).outcome


def test_latency_is_judged_by_the_slowest_twentieth():
    """One slow image of forty is forgiven, three are not."""
    assert "pass" == checks.of_latency([0.01] * 39 + [1.0], 0.02).outcome
    assert "fail" == checks.of_latency([0.01] * 37 + [1.0] * 3, 0.02).outcome


def test_a_golden_image_that_is_not_answered_is_wrong():
    """The reason is in the report."""
    check = checks.of_golden(Golden({"a.jpg": CAT, "b.jpg": CAT}), {"a.jpg": CAT, "b.jpg": "image_corrupt"})

    assert ("fail", {"b.jpg": "image_corrupt"}) == (check.outcome, check.figures["wrong"])


def test_warnings_fail_only_if_asked():
    """A model without golden images may be released by default."""
    found = [checks.of_golden(None, {})]

    assert [True, False] == [checks.is_valid(found, strict=strict) for strict in (False, True)]
