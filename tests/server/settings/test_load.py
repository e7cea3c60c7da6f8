"""Settings: who wins, and what becomes of them."""

from operator import attrgetter
from pathlib import Path

import pytest
from pydantic import ValidationError

from server.settings import SETTINGS, Settings, load_settings


def test_nothing_given_gives_the_defaults():
    """The server starts without a single setting."""
    expected = {
        "model": None,
        "slo": 1.0,
        "provider": "auto",
        "host": "127.0.0.1",
        "port": 8080,
        "upload": {
            "max_image_bytes": 20_000_000,
            "max_pixels": 52_000_000,
            "upload_timeout": 30.0,
            "min_upload_rate": 1000,
            "max_queue_bytes": None,
        },
        "server": {
            "keep_alive": 75.0,
            "drain_delay": 5.0,
            "shutdown_timeout": 30.0,
            "access_log": False,
            "trusted_proxies": "",
            "proxy_protocol": False,
            "http_server": None,
            "web": 1,
            "max_connections": None,
            "admin_host": "127.0.0.1",
            "admin_port": 9091,
        },
        "auth": {
            "keys": None,
            "require_auth": False,
            "jwt_issuer": None,
            "jwt_audience": None,
            "jwt_algorithm": "RS256",
            "jwks_url": None,
            "jwt_key": None,
            "jwt_scope_claim": "scope",
            "client_rate": None,
            "client_burst": None,
            "client_images": None,
        },
        "tls": {"tls_cert": None, "tls_key": None, "tls_client_ca": None},
        "protocols": {"grpc_port": None, "cors_origins": ""},
        "repository": {"models": "", "watch": False, "load_timeout": 300.0, "standby": 600.0},
        "queue": {"max_batch": 32, "max_queue": 1024},
        "cache": {"cache": "memory", "cache_ttl": 3600.0, "cache_bytes": 64_000_000, "cache_timeout": 0.05},
        "storage": {
            "store": "",
            "store_policy": "async",
            "records": "off",
            "redact": "off",
            "retention": None,
            "spool_dir": None,
            "spool_bytes": 1_000_000_000,
            "spool_items": 100_000,
            "s3_endpoint": "",
            "s3_encryption": "",
        },
        "telemetry": {
            "otlp_endpoint": None,
            "trace_share": 0.01,
            "prediction_log": None,
            "prediction_sample": "1",
        },
        "queues": {
            "consume": "",
            "forward": "",
            "results": "",
            "dead_letters": "",
            "consume_in_flight": 64,
            "consume_tries": 5,
            "visibility": 30.0,
            "sqs_endpoint": "",
        },
        "worker": {
            "workers": None,
            "threads": None,
            "profile_dir": None,
            "max_worker_growth": None,
            "gpu_memory_limit": None,
            "cuda_graphs": True,
            "precision": "model",
        },
    }

    assert expected == load_settings([], {}).model_dump()


# ---- Precedence ----


def test_the_file_goes_before_the_default(toml):
    """A key of the file is used."""
    assert load_settings(["--config", toml("[queue]\nmax_batch = 16")], {}).queue.max_batch == 16


def test_the_environment_goes_before_the_file(toml):
    """A variable overrides the file's key."""
    environ = {"TUREEN_MAX_BATCH": "8", "TUREEN_CONFIG": toml("[queue]\nmax_batch = 16")}

    assert load_settings([], environ).queue.max_batch == 8


def test_a_flag_goes_before_the_environment(toml):
    """A flag overrides both."""
    environ = {"TUREEN_MAX_BATCH": "8", "TUREEN_CONFIG": toml("[queue]\nmax_batch = 16")}

    assert load_settings(["--max-batch", "4"], environ).queue.max_batch == 4


def test_each_setting_comes_from_its_own_first_source(toml):
    """Sources mix: one that gives a setting leaves the others' settings alone."""
    environ = {"TUREEN_PORT": "9000", "TUREEN_CONFIG": toml('slo = "2s"\nport = 1')}

    settings = load_settings(["--workers=3"], environ)

    assert (settings.worker.workers, settings.port, settings.slo) == (3, 9000, 2.0)


def test_the_config_flag_goes_before_its_variable(toml):
    """Of two files the flag's is read, and the other need not even exist."""
    path = toml("[queue]\nmax_batch = 16")

    assert load_settings(["--config", path], {"TUREEN_CONFIG": "/nowhere"}).queue.max_batch == 16


def test_the_last_of_two_equal_flags_counts():
    """So that a wrapper script's flag can be overridden."""
    assert load_settings(["--port", "1", "--port", "2"], {}).port == 2


@pytest.mark.parametrize(
    "words", [["food.onnx", "--slo", "2s"], ["--slo", "2s", "food.onnx"], ["--slo=2s", "--", "food.onnx"]]
)
def test_the_model_is_an_argument(words, tmp_path, monkeypatch):
    """It may stand before the flags, after them, and after two dashes."""
    (tmp_path / "food.onnx").touch()
    monkeypatch.chdir(tmp_path)

    settings = load_settings(words, {"TUREEN_MODEL": "other.onnx"})

    assert (tmp_path / "food.onnx", 2.0) == (settings.model, settings.slo)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_every_setting_has_its_flag_its_variable_and_its_key(setting, toml, tmp_path):
    """One value, given in three ways, means the same."""
    texts = {"host": "::1", "model": str(tmp_path), "max_queue_bytes": "1GB", "access_log": "on", "provider": "cuda:1"}
    texts |= {
        "http_server": "hypercorn",
        "cuda_graphs": "off",
        "precision": "fp16",
        "trusted_proxies": "10.0.0.0/8,::1",
        "proxy_protocol": "on",
        "cache": "off",
        "cache_timeout": "200ms",
        "store": str(tmp_path),
        "consume": "https://sqs.eu-west-1.amazonaws.com/1/in",
        "forward": "kafka://127.0.0.1:9092/out",
        "results": "https://sqs.eu-west-1.amazonaws.com/1/results",
        "dead_letters": "https://sqs.eu-west-1.amazonaws.com/1/dead",
        "store_policy": "required",
        "records": "open",
        "redact": "metadata",
        "models": str(tmp_path),
        "watch": "on",
        "keys": __file__,
        "tls_cert": __file__,
        "tls_key": __file__,
        "tls_client_ca": __file__,
        "admin_host": "::1",
        "jwt_key": __file__,
        "require_auth": "on",
        "jwt_algorithm": "ES256",
        "cors_origins": "https://example.com",
        "otlp_endpoint": "grpc://127.0.0.1:4317",
        "trace_share": "0.5",
        "prediction_log": str(tmp_path / "predictions"),
        "prediction_sample": "errors",
    }
    text = texts.get(setting.name, "7")
    ways = [
        load_settings([setting.flag, text], {}),
        load_settings([], {setting.variable: text}),
        load_settings(["--config", toml(f"{setting.key} = {text!r}")], {}),
    ]

    values = {str(attrgetter(setting.key)(settings)) for settings in ways}

    assert len(values) == 1
    assert str(attrgetter(setting.key)(Settings())) not in values


def test_other_variables_are_none_of_our_business():
    """Only what starts with TUREEN_ is read."""
    assert Settings() == load_settings([], {"PORT": "1", "tureen_port": "2", "MY_TUREEN_PORT": "3"})


def test_profiles_lie_where_the_system_keeps_caches_unless_told():
    """As the XDG specification has it, which also says that a relative path does not count."""
    told = load_settings(["--profile-dir", "/told"], {"XDG_CACHE_HOME": "/cache"})
    system = load_settings([], {"XDG_CACHE_HOME": "/cache"})
    neither = load_settings([], {"XDG_CACHE_HOME": "cache"})

    assert "/told" == str(told.worker.profile_folder)
    assert "/cache/tureen" == str(system.worker.profile_folder)
    assert Path("~/.cache/tureen").expanduser() == neither.worker.profile_folder


# ---- What becomes of them ----


def test_settings_travel_as_json(tmp_path):
    """A child process gets exactly what its parent has."""
    (tmp_path / "m.onnx").touch()
    settings = load_settings([str(tmp_path / "m.onnx"), "--slo", "0.123ms", "--max-pixels", "7"], {})

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


def test_a_byte_order_mark_is_no_part_of_the_file(toml):
    """Windows editors write one in front."""
    assert load_settings(["--config", toml("\ufeffport = 9000")], {}).port == 9000
