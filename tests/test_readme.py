"""What the README and the docs say is what the code does."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from argparse import ArgumentParser
from pathlib import Path

import pytest

from server.commands import inspect
from server.commands.bench import options as bench
from server.commands.models import options as models
from server.commands.optimize import options as optimize
from server.commands.tune import options as tune
from server.settings import load_settings
from server.web.errors import PROBLEMS
from tests.end_to_end.harness import serving
from tests.photos import photo

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


# Whatever a command of the README is told, its own parser understands: words -> what it parses them to.
COMMANDS = {
    "serve": lambda words: load_settings(words, {}),
    "bench": bench.parse,
    "tune": lambda words: tune.parse(words, {}),
    "models": models.parse,
    "optimize": optimize.parse,
    "inspect": lambda words: _parsed(inspect.add_arguments, words),
}


def _parsed(add_arguments, words):
    parser = ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def blocks(kind):
    """Give the code blocks of a kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands():
    """Give each `tureen` command: those of the consoles, and those within sentences that have arguments."""
    lines = [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]
    inline = re.findall(r"`(tureen \w+ [^`]+)`", README)
    return [one for one in map(shlex.split, [re.sub(r" +#.*", "", line) for line in lines if '"' not in line] + inline)
            if one[0] == "tureen" and not {"--help", "--help-all"} & set(one)]  # fmt: skip


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_is_understood(command, tmp_path, monkeypatch):
    """As it stands, in a folder with the files it names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet50.onnx").touch()
    (tmp_path / "food").mkdir()
    (tmp_path / "models").mkdir()

    assert COMMANDS[command[1]](command[2:])


def test_every_kind_of_command_is_shown():
    """A command that the README does not show is one that nobody finds."""
    assert {command[1] for command in commands()} == COMMANDS.keys()


def test_every_make_target_exists():
    """`make` alone lists them."""
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert set(re.findall(r"\bmake ([a-z]+)\b", README)) <= set(targets)


def test_every_extra_exists():
    """In pyproject.toml, which `pip install 'tureen[cuda]'` reads."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert set(re.findall(r"tureen\[(\w+)\]", README)) <= extras.keys()


def test_the_first_minutes_are_as_shown():
    """The start-up block line by line, and the members of an answer; times, ids and rates are the machine's own."""
    started, asked = blocks("console")[:2]
    shown = dict(re.findall(r"^  (\w+) +(.+)$", started, re.MULTILINE))
    example = json.loads(re.sub(r",…", "", asked.partition("\n")[2]))

    with serving("--workers", "1", "--provider", "cpu") as server:
        reply = server.run(_post(server))
        found = dict(re.findall(r"^  (\w+) +(.+)$", server.block, re.MULTILINE))

    assert list(shown)[:-1] == list(found)  # the last is the line to try
    for name in ("input", "output", "promise"):
        assert shown[name] == found[name]
    assert shown["model"].split(" (")[0] == found["model"].split(" (")[0]
    assert re.fullmatch(r"\d+ x \d+ threads? \(.+\)", shown["workers"])
    assert re.fullmatch(r"\d+ x \d+ threads? \(.+\)", found["workers"])
    assert list(example) == list(reply)
    assert list(example["timing"]) == list(reply["timing"])


async def _post(server):
    client = await server.connect()
    return (await client.post(photo(0))).json()


def test_ten_lines_of_the_batcher_run(tmp_path):
    """The example is copied out as a stranger would copy it, and prints what it promises."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(code)

    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=30, check=False)

    assert ("", str([n * n for n in range(20)])) == (ran.stderr, ran.stdout.strip())


def test_every_code_is_in_the_table_with_its_status():
    """Clients rely on codes; the README lists all of them, under the status they come with."""
    rows = re.findall(r"^\| (\d{3}[^|]*)\| (`.*`) \|$", README, re.MULTILINE)
    listed = {(code, status) for left, right in rows for code in re.findall(r"`(\w+)`", right)
              for status in re.findall(r"\d{3}", left)}  # fmt: skip

    for problem in PROBLEMS.values():
        assert (problem.code, str(problem.status)) in listed
    assert {code for code, _ in listed} == PROBLEMS.keys()
