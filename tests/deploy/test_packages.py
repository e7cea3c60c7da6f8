"""Wheel and sdist, installed where nothing of this checkout can be imported."""

import json
import os
import site
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """Wheel and sdist."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def installed(dist, tmp_path_factory):
    """An environment with the wheel. It finds the dependencies in this one's; of this checkout it knows nothing."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(dist[0])], check=True)
    packages = next(folder.glob("lib/*/site-packages"))
    shared = [path for path in sys.path if path.endswith("site-packages")] or site.getsitepackages()
    (packages / "shared.pth").write_text("\n".join(shared))
    return folder


def run(installed, *words, **kept):
    """Run a program of the environment, from a folder without anything."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [installed / "bin" / words[0], *words[1:]], cwd=installed, env=environ, capture_output=True, text=True, **kept
    )


def test_the_wheel_serves_from_an_empty_environment(installed):
    """Install, serve, answer: the code and the demo model are the wheel's."""
    where = run(installed, "python", "-c", "import server, batcher, preprocess; print(server.__file__)").stdout
    command = [
        installed / "bin" / "tureen",
        "serve",
        "--port",
        "0",
        "--workers",
        "1",
        "--threads",
        "1",
        "--drain-delay",
        "0",
    ]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen(command, cwd=installed, env=environ, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = next(line.split()[-1] for line in server.stdout if line.strip().startswith("address"))
            with urllib.request.urlopen(f"{address}/v1/images", photo(1)) as reply:
                answer = json.load(reply)
        finally:
            server.terminate()
        code = server.wait()

    assert where.startswith(str(installed))
    assert ("colourfulness", 0) == (answer["model"]["name"], code)


def test_the_installed_command_says_its_version(installed, dist):
    """That of the wheel's name."""
    said = run(installed, "tureen", "--version").stdout.split()

    assert ["tureen", dist[0].name.split("-")[1]] == said


def test_the_sdist_holds_all_of_the_wheel(dist):
    """What is installed from source is the same; nothing of the tests is in either."""
    wheel = {name for name in zipfile.ZipFile(dist[0]).namelist() if ".dist-info/" not in name}
    with tarfile.open(dist[1]) as archive:
        source = {name.partition("/")[2] for name in archive.getnames()}

    assert wheel <= source
    assert {"server", "batcher", "preprocess"} == {name.partition("/")[0] for name in wheel}
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in source)
    assert {"server/py.typed", "server/demo/colourfulness/1/model.onnx", "server/web/page/static/index.html"} <= wheel


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (("tureen", "vali"), ["validate"]),
        (("tureen", "models", "ro"), ["rollback", "rollout"]),
        (("tureen", "serve", "--max-pi"), ["--max-pixels"]),
        (("tureen", "completion", ""), ["bash", "zsh", "fish"]),
        (("tureen", "validate", "bin/activ"), ["bin/activate", "bin/activate.csh", "bin/activate.fish"]),
    ],
)
def test_bash_completes_commands_flags_and_files(installed, typed, offered):
    """The script is loaded into a real bash, and asked as its Tab key asks."""
    script = run(installed, "tureen", "completion", "bash").stdout
    words = " ".join(f"'{word}'" for word in typed)
    ask = f"""
COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}
$(complete -p tureen | sed 's/.*-F \\([^ ]*\\).*/\\1/') tureen "${{COMP_WORDS[COMP_CWORD]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", script + ask], cwd=installed, capture_output=True, text=True)

    assert (0, "") == (done.returncode, done.stderr)
    assert offered == sorted(done.stdout.split(), key=lambda word: (*offered, word).index(word))
