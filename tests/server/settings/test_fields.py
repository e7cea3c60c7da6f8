"""The rule of each setting."""

import pytest

from server.settings import SettingsError, load_settings
from tests.server.settings.refusal import refusal


@pytest.mark.parametrize(
    ("flag", "good", "bad"),
    [
        ("--host", ["0.0.0.0", "::", "localhost"], ["", " ", "a b", "http://x"]),
        ("--port", ["0", "65535"], ["65536", "-1", "80.5", "http", ""]),
        ("--provider", ["auto", "cpu", "cuda", "cuda:0", "cuda:999"], ["gpu", "CUDA", "", "cuda:", "cuda:-1", "cpu:1"]),
        ("--workers", ["0", "64"], ["-1", "many"]),
        ("--threads", ["1", "1024"], ["0", "-1", "1025", "all"]),
        ("--profile-dir", ["/tmp", "/nowhere/yet"], ["", "/proc/version"]),
        ("--max-batch", ["1", "1024"], ["0", "1025"]),
        ("--slo", ["1ms", "600s", "10m"], ["0", "0s", "601", "-1s", "nan", "inf"]),
        ("--max-queue", ["1"], ["0", "-5"]),
        ("--max-image-bytes", ["1", "256MB"], ["0", "-1", "20mb"]),
        ("--max-queue-bytes", ["20MB", "1GiB"], ["0", "19.9MB"]),
        ("--max-pixels", ["1", "50Mpx"], ["0", "50MB"]),
        ("--upload-timeout", ["1ms", "24h"], ["0", "25h", "inf"]),
        ("--keep-alive", ["1ms", "24h"], ["0", "25h", "soon"]),
        ("--consume", ["https://sqs.x/1/q", "kafka://h:1/t"], ["q", "s3://b", "kafka://h:1", "kafka://h:1/a/b"]),
        ("--shutdown-timeout", ["1ms", "24h"], ["0", "25h", "nan"]),
    ],
)
def test_the_rule_of_each_setting(flag, good, bad):
    """The last good value on either side is taken, the first bad one is refused."""
    refused = [text for text in (*good, *bad) if not accepted(flag, text)]

    assert bad == refused


def accepted(flag, text):
    """Tell whether the flag takes the text."""
    try:
        load_settings([f"{flag}={text}"], {})
    except SettingsError:
        return False
    return True


def test_a_budget_below_the_largest_image_is_refused():
    """Else an image could be allowed and never fit."""
    (problem,) = refusal(["--max-image-bytes", "300MB", "--max-queue-bytes", "256MB"])

    assert problem.startswith("max_queue_bytes = '256MB' (flag --max-queue-bytes): must be a size of at least 1B, not ")
    assert problem.endswith("; max_image_bytes is 300MB")


def test_a_budget_of_just_the_largest_image_is_taken():
    """The bound itself is allowed."""
    assert load_settings(["--max-image-bytes=5", "--max-queue-bytes=5"], {}).upload.max_queue_bytes == 5


@pytest.mark.parametrize("value", ["true", "[1]", "{ a = 1 }", "2026-01-01", "nan", "-1", "1.5"])
def test_a_toml_value_of_the_wrong_type_is_refused(toml, value):
    """`max_batch = true` is not a batch of one."""
    assert len(refusal(["--config", toml(f"[queue]\nmax_batch = {value}")])) == 1


@pytest.mark.parametrize(
    ("provider", "name", "devices"),
    [
        ("auto", "auto", (0,)),
        ("cuda", "cuda", (0,)),
        ("cuda:2", "cuda", (2,)),
        ("cuda:2,0,2", "cuda", (2, 0)),
        ("cuda:all", "cuda", ()),
    ],
)
def test_one_setting_names_the_provider_and_its_gpus(provider, name, devices):
    """Without an index it is the first GPU."""
    settings = load_settings(["--provider", provider], {})

    assert (name, devices) == (settings.provider_name, settings.devices)


@pytest.mark.parametrize("provider", ["cuda:", "cuda:1,", "cuda:0,all", "cpu:1", "all"])
def test_gpus_that_are_no_list_are_refused(provider):
    """Indices and commas, or all."""
    assert len(refusal(["--provider", provider])) == 1


def test_the_fastest_http_server_that_is_installed_is_the_default():
    """The development environment has uvicorn; who asks for hypercorn gets it."""
    assert load_settings([], {}).server.http_server_name == "uvicorn"
    assert load_settings(["--http-server", "hypercorn"], {}).server.http_server_name == "hypercorn"


# ---- The model's path ----


def test_a_model_file_is_given_as_an_absolute_path(tmp_path, monkeypatch):
    """A child process started elsewhere finds it, too."""
    (tmp_path / "food.onnx").touch()
    monkeypatch.chdir(tmp_path)

    assert tmp_path / "food.onnx" == load_settings(["food.onnx"], {}).model


def test_a_model_folder_is_taken(tmp_path):
    """A folder needs no particular name."""
    assert tmp_path == load_settings([str(tmp_path)], {}).model


def test_a_link_to_a_model_stays_a_link(tmp_path):
    """Who switches a link called "current" gets the new model at the next load."""
    (tmp_path / "v1").mkdir()
    (tmp_path / "current").symlink_to(tmp_path / "v1")

    assert tmp_path / "current" == load_settings([str(tmp_path / "current")], {}).model


def test_a_missing_model_is_refused(tmp_path):
    """It is found out before anything starts."""
    (problem,) = refusal([str(tmp_path / "no.onnx")])

    assert problem.endswith(
        f"must be an .onnx file or a model folder, which must exist; there is no {tmp_path}/no.onnx"
    )


def test_a_model_file_of_another_kind_is_refused(tmp_path):
    """A .pt file is no ONNX model."""
    (tmp_path / "food.pt").touch()

    (problem,) = refusal([str(tmp_path / "food.pt")])

    assert problem.endswith("; that file's name does not end in .onnx")


def test_an_empty_model_variable_is_refused():
    """An empty path would be the current directory."""
    (problem,) = refusal(environ={"TUREEN_MODEL": ""})

    assert problem.endswith("; that is no path")
