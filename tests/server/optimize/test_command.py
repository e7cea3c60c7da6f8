"""`tureen optimize`, from a model and pictures to a version, a recipe and a report."""

import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pytest

from server.commands.models.golden import record
from server.commands.optimize import command
from server.inference.model import open_model
from server.models.card import find_model, versions_in
from server.optimize.forms import GRAPH
from server.optimize.paired import Speed
from server.optimize.report import ORIGINAL, load
from server.optimize.version import sha256
from server.repository.folder import check_sums
from server.repository.golden import read_golden
from tests.photos import photo
from tests.server.optimize.networks import folder, pictures

PHOTOS = 90


def always(gains):
    """Time nothing: INT8 and the optimised graph are so many times faster."""

    def measure(model, files, photos, told):
        told()
        return {
            name: Speed(size=file.stat().st_size, load_s=0.1, memory=1, prepare_s=1e-3, latency_s=1e-3, batch=1,
                        batch_s=1e-3, gain=gains["int8" if "INT8" in name else "float"] if name != ORIGINAL else 1.0)
            for name, file in files.items()
        }  # fmt: skip

    return measure


def optimize(*words, gains=None):
    """Run the command here; its exit code, and what it said."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = command.run([*map(str, words)], always(gains or {"float": 1.0, "int8": 2.0}))
    return code, out.getvalue() + err.getvalue()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of pictures."""
    return pictures(tmp_path_factory.mktemp("photos") / "all", PHOTOS)


@pytest.fixture(scope="module")
def written(tmp_path_factory, photos):
    """A model with golden images, and its second version."""
    model = folder(tmp_path_factory.mktemp("models") / "food")
    (model / "golden").mkdir()
    (model / "golden" / "a.jpg").write_bytes(photo(1000, 32, 32))
    record(model, 1e-9)
    code, said = optimize(model, "--calibrate", photos, "--agree", "80%")
    assert code == 0, said
    return model, said


def test_the_next_version_is_written(written):
    """Served as any other: its sums fit, and it is opened as the highest."""
    model, said = written

    assert ["1", "2"] == versions_in(model)
    assert f"Written: {model / '2'}" in said
    check_sums(model / "2")
    assert "2" == open_model(find_model(model), 4).card.version


def test_it_is_smaller_and_takes_what_the_original_takes(written):
    """A rollout compares the inputs and outputs."""
    model, _ = written
    before, after = (open_model(find_model(model / version), 4).session for version in ("1", "2"))

    assert (before.signature.inputs, before.signature.outputs) == (after.signature.inputs, after.signature.outputs)
    assert after.signature.inputs[0].shape == ("N", 3, 32, 32)


def test_the_report_has_the_proof(written):
    """Of held-out pictures; each form that was tried is in it."""
    report = load(written[0] / "2")

    assert report.chosen.startswith("static INT8")
    assert (30, 60) == (report.pictures.calibration, report.pictures.held_out)
    assert report.held_out.bound >= 0.8
    assert {"min-max", "entropy"} <= {name for step in report.steps for name in step.name.split(", ")}
    assert "" != report.machine["onnxruntime-gpu" if "onnxruntime-gpu" in report.machine else "onnxruntime"]


def test_the_page_needs_nothing_else(written):
    """Plots and pictures are in it."""
    page = (written[0] / "2" / "report.html").read_text()

    assert "<svg" in page
    assert "data:image/jpeg;base64," in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_golden_images_have_a_tolerance_of_their_own(written):
    """The answers that are expected stay the original's."""
    model, _ = written
    before, after = read_golden(model, "1"), read_golden(model, "2")

    assert before.images == after.images
    assert before.tolerance < after.tolerance < 0.5


def test_inspect_shows_it(written):
    """In one line."""
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "server", "inspect", written[0]], capture_output=True, text=True, check=True
    )

    assert "# faster  static INT8" in ran.stdout
    assert "2.00 times the images per second of version 1" in ran.stdout


def test_the_recipe_gives_the_same_file_in_another_process(written, tmp_path):
    """With no pictures, and measured for real."""
    model, _ = written
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "server", "optimize", model / "1", "--recipe", model / "2" / "optimize.toml",
         "--out", tmp_path, "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert 0 == ran.returncode, ran.stderr
    assert sha256(model / "2" / "model.onnx") == sha256(tmp_path / "food" / "3" / "model.onnx")
    report = json.loads(ran.stdout)
    assert {ORIGINAL, report["chosen"]} == {step["name"] for step in report["steps"]}
    assert all(step["speed"]["batch_s"] > 0 and step["speed"]["memory"] > 0 for step in report["steps"])
    assert (tmp_path / "food" / "model.toml").exists()


def test_the_same_pictures_give_the_same_file(written, photos, tmp_path):
    """Nothing in it depends on the time or on chance."""
    model, _ = written
    code, _ = optimize(model / "1", "--calibrate", photos, "--agree", "80%", "--out", tmp_path)

    assert 0 == code
    assert sha256(model / "2" / "model.onnx") == sha256(tmp_path / "food" / "3" / "model.onnx")


def test_a_recipe_of_another_model_is_refused(written, tmp_path):
    """By the digest."""
    other = folder(tmp_path / "other", outlier=2.0)

    code, said = optimize(other, "--recipe", written[0] / "2" / "optimize.toml")

    assert 1 == code
    assert "is about another model" in said


def test_layers_that_quantise_badly_stay_in_float(photos, tmp_path):
    """As few as the gate needs."""
    model = folder(tmp_path / "food", outlier=3000.0)
    code, said = optimize(model, "--calibrate", photos, "--agree", "80%")
    report = load(model / "2")

    assert 0 == code, said
    assert "in float" in report.chosen
    assert {"first", "second", "third", "dense"} == {*report.layers}
    whole = max(step.agreement.share for step in report.steps if step.agreement and "in float" not in step.name)
    assert whole < report.step(report.chosen).agreement.share


def test_too_few_pictures_are_refused_with_how_many_it_takes(photos, tmp_path):
    """60 held-out pictures cannot show 99 %."""
    model = folder(tmp_path / "food")
    code, said = optimize(model, "--calibrate", photos)

    assert 1 == code
    assert "Give at least 449 pictures" in said
    assert ["1"] == versions_in(model)


def test_what_misses_the_gate_is_not_written(photos, tmp_path):
    """Not even with half of the layers in float."""
    model = folder(tmp_path / "food", outlier=3000.0)
    code, said = optimize(model, "--calibrate", photos, "--agree", "95%")

    assert 1 == code
    assert "of the calibration pictures; " in said
    assert "Nothing was written." in said
    assert ["1"] == versions_in(model)


def test_without_a_gain_nothing_is_written(photos, tmp_path):
    """However well it agrees."""
    model = folder(tmp_path / "food")
    code, said = optimize(model, "--calibrate", photos, "--agree", "50%", gains={"float": 1.0, "int8": 0.9})

    assert 1 == code
    assert "nothing is at least 1.05 times as fast" in said


def test_without_pictures_the_graph_is_optimised_and_it_says_what_to_do(tmp_path):
    """And with how many pictures INT8 could be shown to agree."""
    model = folder(tmp_path / "food", dead=4)
    code, said = optimize(model, gains={"float": 1.2})

    assert 0 == code
    assert "--calibrate FOLDER needs pictures, at least 449 to show 0.99" in said
    assert (4, GRAPH) == (load(model / "2").removed_channels, load(model / "2").chosen)


def test_where_int8_misses_the_gate_the_exact_form_is_written(photos, tmp_path):
    """And the report claims nothing of INT8 for it."""
    model = folder(tmp_path / "food", outlier=3000.0)
    code, said = optimize(model, "--calibrate", photos, "--agree", "95%", gains={"float": 1.2, "int8": 2.0})
    report = load(model / "2")

    assert 0 == code, said
    assert (GRAPH, None) == (report.chosen, report.held_out)
    assert report.step(GRAPH).speed.gain == 1.2


def test_pruning_by_magnitude_is_measured_and_said_to_gain_nothing(photos, tmp_path):
    """With what it costs in agreement."""
    model = folder(tmp_path / "food")
    _, said = optimize(model, "--calibrate", photos, "--agree", "80%", "--prune", "90%")
    (step,) = [step for step in load(model / "2").steps if step.name.endswith("90% of weights zero")]

    assert step.agreement.share < 1
    assert f"{step.name}: gains nothing" in said


def test_no_agreement_asked_for_is_said(photos, tmp_path):
    """For models whose answers mean nothing."""
    model = folder(tmp_path / "food", outlier=3000.0)
    code, said = optimize(model, "--calibrate", photos, "--agree", "0")

    assert 0 == code
    assert "nothing is claimed about the answers" in said


@pytest.mark.parametrize("where", ["https://example.org/photos", "s3://b"])
def test_a_store_that_cannot_be_is_refused(tmp_path, where):
    """In a sentence."""
    code, said = optimize(folder(tmp_path / "food"), "--calibrate", where)

    assert 1 == code
    assert f"--calibrate {where}: must be a folder or s3://BUCKET/PREFIX" in said


@pytest.mark.parametrize("provider", ["openvino", "tensorrt"])
def test_a_provider_that_is_not_served_is_refused(tmp_path, provider):
    """With what it needs; nothing falls back to the CPU in silence."""
    code, said = optimize(folder(tmp_path / "food"), "--provider", provider)

    assert 1 == code
    assert f"--provider {provider}" in said


@pytest.mark.parametrize(
    "words", [["--agree", "101%"], ["--agree", "x"], ["--source", "no group"], ["--source", "("], ["--unknown"]]
)
def test_usage_errors(words):
    """Exit code 2."""
    with pytest.raises(SystemExit, match="2"), redirect_stderr(StringIO()):
        command.run(["model", *words])


def test_a_full_disk_leaves_nothing(written, tmp_path):
    """A limit on the size of files stands in for it: the model does not fit."""
    words = [sys.executable, "-P", "-m", "server", "optimize", written[0] / "1", "--recipe",
             written[0] / "2" / "optimize.toml", "--out", tmp_path]  # fmt: skip
    ran = subprocess.run(
        words, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )  # fmt: skip

    assert 1 == ran.returncode, ran.stderr
    assert "Traceback" not in ran.stderr
    assert [] == [path for path in (tmp_path / "food").glob("*") if path.name not in ("model.toml",)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(written, photos, tmp_path, number):
    """No version. A process in the background of a script, which ignores SIGINT, still ends at SIGTERM."""
    ignored = {signal.SIGINT: signal.SIG_DFL, signal.SIGTERM: signal.SIG_IGN}[number]
    words = [sys.executable, "-P", "-c", _TELLS, written[0] / "1", "--calibrate", photos, "--agree", "80%",
             "--out", tmp_path]  # fmt: skip
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, ignored),
    ) as process:  # fmt: skip
        assert "measuring\n" == process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate()

    assert 130 == process.returncode
    assert "interrupted; nothing was written" in err
    assert [] == os.listdir(tmp_path)


_TELLS = """
import sys
from server.commands.optimize import command
from server.optimize.forms import GRAPH
from server.optimize.paired import measure
def told(*given):
    print("measuring", flush=True)
    return measure(*given)
sys.exit(command.run(sys.argv[1:], told))
"""
