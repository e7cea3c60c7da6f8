"""The `tureen` command, run as users run it: exit codes, and what it prints where."""

import os
import re
import socket
import subprocess
import sys
from importlib.metadata import version

from server.settings import SETTINGS


def tureen(*words, **variables):
    """Run the command with these words, and these variables besides the process's own."""
    command = [sys.executable, "-P", "-m", "server", *words]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)


def test_version_is_that_of_the_package():
    """It goes to standard output, for scripts."""
    run = tureen("--version")

    assert (run.returncode, run.stdout) == (0, f"tureen {version('tureen')}\n")


def test_a_version_of_a_model_is_not_the_version_of_tureen():
    """`tureen models promote food 4` asks a server; here none listens."""
    run = tureen("models", "promote", "food", "4", "--url", "http://127.0.0.1:9")

    assert (1, "") == (run.returncode, run.stdout)


def test_help_names_the_commands_and_shows_an_example():
    """Who knows nothing yet learns what to type next."""
    run = tureen("--help")

    assert run.returncode == 0
    assert "\n    serve     answer images over HTTP\n" in run.stdout
    assert "\n  tureen serve " in run.stdout


def test_no_command_shows_the_help_as_an_error():
    """A script that forgot the command must not go on."""
    run = tureen()

    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("usage: tureen ")


def test_an_unknown_command_is_refused_with_the_known():
    """The error says what would have been right."""
    run = tureen("sevre")

    assert run.returncode == 2
    assert "invalid choice: 'sevre' (choose from" in run.stderr


def described(setting, text):
    """Tell whether a help describes the setting: its word at the start of a line, in the list."""
    word = "MODEL" if setting.name == "model" else setting.flag
    return re.search(rf"^  {word}\b", text, re.MULTILINE) is not None


def test_serve_help_shows_twelve_settings_and_two_for_each_capability():
    """More is no list that anybody reads."""
    text = tureen("serve", "--help").stdout

    shown = [setting for setting in SETTINGS.values() if described(setting, text)]
    beside = ("access", "models", "cache", "storage", "telemetry", "queues")
    core = [setting for setting in shown if setting.heading not in beside]
    assert len(core) <= 12
    assert all(2 >= sum(setting.heading == heading for setting in shown) for heading in beside)
    assert [] == [setting.name for setting in shown if setting.advanced]
    assert ["service", "uploads", "operation", *beside] == re.findall(r"^(\w+):$", text, re.MULTILINE)[1:-1]


def test_serve_help_all_tells_each_setting():
    """Word, meaning, rule, default and variable, however the lines are broken."""
    text = tureen("serve", "--help-all").stdout
    words = " ".join(text.split())

    for setting in SETTINGS.values():
        assert described(setting, text)
        assert f"{setting.meaning}: {setting.rule}; default: {setting.default}; {setting.variable}" in words


def test_serve_help_teaches():
    """An example, and what the same looks like in the environment and in TOML."""
    run = tureen("serve", "--help")

    lines = {line.strip() for line in run.stdout.splitlines()}
    assert {"examples:", "environment  TUREEN_SLO=500ms TUREEN_MAX_PIXELS=20M", "[upload]"} <= lines


def test_tune_help_shows_the_settings_it_shares():
    """Those that `tureen serve` leaves to --help-all, too."""
    text = tureen("tune", "--help").stdout

    shared = {name for name, setting in SETTINGS.items() if described(setting, text)}
    assert {"model", "slo", "max_batch", "workers", "threads", "profile_dir"} == shared


def test_wrong_settings_end_serve_with_a_list_and_no_traceback():
    """All of them, from wherever they came, on standard error."""
    run = tureen("serve", "--port", "x", "--wokers", "3", TUREEN_SLO="0", TUREEN_NOISE="1")

    assert (run.returncode, run.stdout) == (2, "")
    assert [line.split()[0] for line in run.stderr.splitlines()] == [
        "tureen:",
        "--wokers",
        "TUREEN_NOISE",
        "slo",
        "port",
    ]


def test_a_flag_without_a_value_ends_serve():
    """The usual words of argparse, the usual exit code."""
    run = tureen("serve", "--port")

    assert run.returncode == 2
    assert "argument --port: expected one argument" in run.stderr


def test_the_command_is_quick_to_import():
    """Help must not load what serving needs."""
    heavy = {"numpy", "onnxruntime", "starlette", "hypercorn", "PIL", "pydantic_settings", "anyio", "asyncio"}
    program = f"import sys, server.cli; print(sorted({heavy!r} & sys.modules.keys()))"

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert run.stdout == "[]\n"


def test_serve_gives_the_exit_code_of_the_server():
    """A port that is taken is another failure than a wrong setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        run = tureen("serve", "--port", str(port))

    assert run.returncode == 1
    assert f"127.0.0.1:{port}" in run.stderr
    assert "Traceback" not in run.stderr


def test_required_authentication_without_keys_is_refused():
    """Nobody finds out later that the server was open."""
    run = tureen("serve", "--require-auth")

    assert run.returncode == 2
    assert "require_auth = on: needs --keys FILE" in run.stderr
