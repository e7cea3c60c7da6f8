"""Settings: who wins, what is refused, and what a refusal says."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from server.settings import SETTINGS, Settings, SettingsError, load_settings


def refusal(argv=(), environ=None):
    """Give what is wrong, one line each."""
    with pytest.raises(SettingsError) as caught:
        load_settings(argv, environ or {})
    return list(caught.value.problems)


@pytest.fixture
def toml(tmp_path):
    """Write a settings file and give its path."""

    def write(text: str) -> str:
        path = tmp_path / "tureen.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


# ---- Defaults ----


def test_nothing_given_gives_the_defaults():
    """The server starts without a single setting."""
    expected = {
        "host": "127.0.0.1",
        "port": 8080,
        "http_server": "hypercorn",
        "model": None,
        "provider": "auto",
        "device": 0,
        "gpu_memory_limit": None,
        "cuda_graphs": False,
        "precision": "model",
        "workers": None,
        "threads": None,
        "profile_dir": None,
        "max_batch": 32,
        "slo": 1.0,
        "max_queue": 1024,
        "max_queue_bytes": 256_000_000,
        "max_image_bytes": 20_000_000,
        "max_pixels": 50_000_000,
        "upload_timeout": 30.0,
        "min_upload_rate": 1000,
        "max_connections": 10_000,
        "max_worker_growth": 1_000_000_000,
        "keep_alive": 75.0,
        "drain_delay": 5.0,
        "shutdown_timeout": 30.0,
        "access_log": False,
    }

    assert expected == load_settings([], {}).model_dump()


# ---- Precedence ----


def test_the_file_goes_before_the_default(toml):
    """A key of the file is used."""
    assert load_settings(["--config", toml("max_batch = 16")], {}).max_batch == 16


def test_the_environment_goes_before_the_file(toml):
    """A variable overrides the file's key."""
    environ = {"TUREEN_MAX_BATCH": "8", "TUREEN_CONFIG": toml("max_batch = 16")}

    assert load_settings([], environ).max_batch == 8


def test_a_flag_goes_before_the_environment(toml):
    """A flag overrides both."""
    environ = {"TUREEN_MAX_BATCH": "8", "TUREEN_CONFIG": toml("max_batch = 16")}

    assert load_settings(["--max-batch", "4"], environ).max_batch == 4


def test_each_setting_comes_from_its_own_first_source(toml):
    """Sources mix: one that gives a setting leaves the others' settings alone."""
    environ = {"TUREEN_PORT": "9000", "TUREEN_CONFIG": toml('slo = "2s"\nport = 1')}

    settings = load_settings(["--workers=3"], environ)

    assert (settings.workers, settings.port, settings.slo) == (3, 9000, 2.0)


def test_the_config_flag_goes_before_its_variable(toml):
    """Of two files the flag's is read, and the other need not even exist."""
    path = toml("max_batch = 16")

    assert load_settings(["--config", path], {"TUREEN_CONFIG": "/nowhere"}).max_batch == 16


def test_the_last_of_two_equal_flags_counts():
    """So that a wrapper script's flag can be overridden."""
    assert load_settings(["--port", "1", "--port", "2"], {}).port == 2


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_every_setting_has_its_flag_its_variable_and_its_key(setting, toml, tmp_path):
    """One value, given in three ways, means the same."""
    texts = {"host": "::1", "model": str(tmp_path), "max_queue_bytes": "1GB", "access_log": "on", "provider": "cuda"}
    texts |= {"http_server": "uvicorn", "cuda_graphs": "on", "precision": "fp16"}
    text = texts.get(setting.name, "7")
    ways = [
        load_settings([setting.flag, text], {}),
        load_settings([], {setting.variable: text}),
        load_settings(["--config", toml(f"{setting.name} = {text!r}")], {}),
    ]

    values = {str(getattr(settings, setting.name)) for settings in ways}

    assert len(values) == 1
    assert str(getattr(Settings(), setting.name)) not in values


def test_other_variables_are_none_of_our_business():
    """Only what starts with TUREEN_ is read."""
    assert Settings() == load_settings([], {"PORT": "1", "tureen_port": "2", "MY_TUREEN_PORT": "3"})


def test_profiles_lie_where_the_system_keeps_caches_unless_told():
    """As the XDG specification has it, which also says that a relative path does not count."""
    told = load_settings(["--profile-dir", "/told"], {"XDG_CACHE_HOME": "/cache"})
    system = load_settings([], {"XDG_CACHE_HOME": "/cache"})
    neither = load_settings([], {"XDG_CACHE_HOME": "cache"})

    assert "/told" == str(told.profile_folder)
    assert "/cache/tureen" == str(system.profile_folder)
    assert Path("~/.cache/tureen").expanduser() == neither.profile_folder


# ---- Rules ----


@pytest.mark.parametrize(
    ("flag", "good", "bad"),
    [
        ("--host", ["0.0.0.0", "::", "localhost"], ["", " ", "a b", "http://x"]),
        ("--port", ["0", "65535"], ["65536", "-1", "80.5", "http", ""]),
        ("--provider", ["auto", "cpu", "cuda"], ["gpu", "CUDA", ""]),
        ("--device", ["0", "1023"], ["-1", "1024", "first"]),
        ("--workers", ["1", "64"], ["0", "-1", "many"]),
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
    """Else an image could be allowed and never fit; the default budget is no exception."""
    (problem,) = refusal(["--max-image-bytes", "300MB"])

    assert problem.startswith("max_queue_bytes = 256MB (default): must be a size of at least 1B, not below ")
    assert problem.endswith("; max_image_bytes is 300MB")


def test_a_budget_of_just_the_largest_image_is_taken():
    """The bound itself is allowed."""
    assert load_settings(["--max-image-bytes=5", "--max-queue-bytes=5"], {}).max_queue_bytes == 5


@pytest.mark.parametrize("value", ["true", "[1]", "{ a = 1 }", "2026-01-01", "nan", "-1", "1.5"])
def test_a_toml_value_of_the_wrong_type_is_refused(toml, value):
    """`max_batch = true` is not a batch of one."""
    assert len(refusal(["--config", toml(f"max_batch = {value}")])) == 1


# ---- The model's path ----


def test_a_model_file_is_given_as_an_absolute_path(tmp_path, monkeypatch):
    """A child process started elsewhere finds it, too."""
    (tmp_path / "food.onnx").touch()
    monkeypatch.chdir(tmp_path)

    assert tmp_path / "food.onnx" == load_settings(["--model", "food.onnx"], {}).model


def test_a_model_folder_is_taken(tmp_path):
    """A folder needs no particular name."""
    assert tmp_path == load_settings(["--model", str(tmp_path)], {}).model


def test_a_link_to_a_model_stays_a_link(tmp_path):
    """Who switches a link called "current" gets the new model at the next load."""
    (tmp_path / "v1").mkdir()
    (tmp_path / "current").symlink_to(tmp_path / "v1")

    assert tmp_path / "current" == load_settings(["--model", str(tmp_path / "current")], {}).model


def test_a_missing_model_is_refused(tmp_path):
    """It is found out before anything starts."""
    (problem,) = refusal(["--model", str(tmp_path / "no.onnx")])

    assert problem.endswith(
        f"must be an .onnx file or a model folder, which must exist; there is no {tmp_path}/no.onnx"
    )


def test_a_model_file_of_another_kind_is_refused(tmp_path):
    """A .pt file is no ONNX model."""
    (tmp_path / "food.pt").touch()

    (problem,) = refusal(["--model", str(tmp_path / "food.pt")])

    assert problem.endswith("; that file's name does not end in .onnx")


def test_an_empty_model_variable_is_refused():
    """An empty path would be the current directory."""
    (problem,) = refusal(environ={"TUREEN_MODEL": ""})

    assert problem.endswith("; that is no path")


# ---- What a refusal says ----


def test_a_bad_flag_is_named_with_value_origin_and_rule():
    """Name, value, origin, rule: all that is needed to mend it."""
    expected = "port = '99999' (flag --port): must be a whole number from 0 to 65535"

    assert [expected] == refusal(["--port", "99999"])


def test_a_bad_variable_is_named_with_value_origin_and_rule():
    """The origin is the variable, not the setting."""
    expected = "max_batch = '0' (variable TUREEN_MAX_BATCH): must be a whole number from 1 to 1024"

    assert [expected] == refusal(environ={"TUREEN_MAX_BATCH": "0"})


def test_a_bad_key_is_named_with_value_origin_and_rule(toml):
    """The origin is the key and its file."""
    path = toml("workers = 0")

    assert [f"workers = 0 (key workers in {path}): must be a whole number of at least 1"] == refusal(["--config", path])


def test_a_bad_value_that_is_overridden_is_not_looked_at():
    """What does not count cannot be wrong."""
    assert load_settings(["--port", "1"], {"TUREEN_PORT": "x"}).port == 1


def test_an_unknown_variable_is_refused_with_a_guess():
    """A misspelt variable must not be ignored in silence; its value, perhaps a secret, is not shown."""
    expected = "TUREEN_MAX_BACH (environment): no such setting; did you mean TUREEN_MAX_BATCH?"

    assert [expected] == refusal(environ={"TUREEN_MAX_BACH": "s3cret"})


def test_an_unknown_key_is_refused_with_a_guess(toml):
    """A misspelt key neither."""
    path = toml("wokers = 3")

    assert [f"wokers (key in {path}): no such setting; did you mean workers?"] == refusal(["--config", path])


def test_an_unknown_flag_is_refused_with_a_guess():
    """Nor a misspelt flag; its value is not taken for a second mistake."""
    assert refusal(["--prot", "9000"]) == ["--prot (command line): no such flag; did you mean --port?"]


def test_an_abbreviated_flag_is_unknown():
    """Else a script would break on the day a second setting starts alike."""
    assert [line.split(";")[0] for line in refusal(["--max-b", "3"])] == ["--max-b (command line): no such flag"]


def test_a_word_that_is_no_flag_is_refused():
    """`tureen serve model.onnx` does not serve the demo model instead."""
    assert refusal(["model.onnx"]) == ["model.onnx (command line): no such flag"]


def test_a_flag_without_a_value_is_refused():
    """The flag is named."""
    assert refusal(["--port"]) == ["argument --port: expected one argument"]


def test_kubernetes_own_variables_are_explained():
    """A Service named tureen puts variables into its pods that look like ours."""
    problems = refusal(environ={"TUREEN_SERVICE_HOST": "10.0.0.1"})

    assert len(problems) == 1
    assert "enableServiceLinks: false" in problems[0]


@pytest.mark.parametrize("text", ["port = ", "\ufeffport = 1", "port = 1\nport = 2"])
def test_a_file_that_is_no_toml_is_refused(toml, text):
    """The parser's own words say where it went wrong."""
    path = toml(text)

    (problem,) = refusal(environ={"TUREEN_CONFIG": path})

    assert problem.startswith(f"config = {path!r} (variable TUREEN_CONFIG): must be a TOML file that can be read; ")


@pytest.mark.parametrize("path", ["/no/such/file.toml", "", "/", "a\0b"])
def test_a_file_that_cannot_be_read_is_refused(path):
    """A settings file that was asked for is never left out in silence."""
    (problem,) = refusal(["--config", path])

    assert problem.startswith(f"config = {path!r} (flag --config): must be a TOML file that can be read; ")


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    """Bytes are no traceback."""
    (tmp_path / "a.toml").write_bytes(b"host = '\xff'")

    assert len(refusal(["--config", str(tmp_path / "a.toml")])) == 1


def test_all_mistakes_are_reported_at_once(toml):
    """One start, one list: unknown names first, then values in the order of the settings."""
    environ = {"TUREEN_SLO": "0", "TUREEN_NOISE": "1", "TUREEN_CONFIG": toml("max_queue = 0\nnoise = 1")}

    names = [line.split(" ")[0] for line in refusal(["--port=x", "--noise=1"], environ)]

    assert names == ["--noise", "TUREEN_NOISE", "noise", "port", "slo", "max_queue"]


def test_the_message_counts_and_lists_the_mistakes():
    """The error is ready to print."""
    message = str(SettingsError(["a", "b"]))

    assert message == "tureen: 2 settings are wrong:\n  a\n  b"


def test_one_mistake_is_one():
    """Nobody reads "1 settings are"."""
    assert str(SettingsError(["a"])) == "tureen: 1 setting is wrong:\n  a"


# ---- What becomes of them ----


def test_settings_travel_as_json(tmp_path):
    """A child process gets exactly what its parent has."""
    (tmp_path / "m.onnx").touch()
    settings = load_settings(["--model", str(tmp_path / "m.onnx"), "--slo", "0.123ms", "--max-pixels", "7"], {})

    assert settings == Settings.model_validate_json(settings.model_dump_json())


def test_a_child_reads_no_environment(monkeypatch):
    """Settings made from JSON are the parent's, whatever the variables say."""
    monkeypatch.setenv("TUREEN_PORT", "1")

    assert Settings.model_validate_json(Settings().model_dump_json()).port == 8080


def test_without_an_environment_the_process_own_is_read(monkeypatch):
    """The command line passes none: this is the only module that reads it."""
    monkeypatch.setenv("TUREEN_PORT", "1")

    assert load_settings([]).port == 1


def test_settings_cannot_be_changed():
    """They are read once."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


def test_settings_have_no_field_unknown_to_them():
    """A parent and a child of different versions notice."""
    with pytest.raises(ValidationError, match="noise"):
        Settings.model_validate({"noise": 1})
