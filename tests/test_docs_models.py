"""docs/models.md says what the code does."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from preprocess.recipe import MAX_SIDE
from server.inference.pictures import pictures
from server.models.input_spec import Input
from server.models.output_spec import MAX_RAW_BYTES, Output
from server.models.toml_card import read_card

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def keys(table):
    """The keys that the table under this heading has."""
    (section,) = re.findall(rf"^### `\[{table}\]`\n(.+?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def test_every_key_of_the_input_is_documented():
    """And no other."""
    assert [field.name for field in fields(Input)] == keys("input")


def test_every_key_of_the_output_is_documented():
    """And no other."""
    assert {"labels_file", *(field.name for field in fields(Output))} == {*keys("output")}


@pytest.mark.parametrize("card", re.findall(r"^```toml\n(.+?)^```", PAGE, re.MULTILINE | re.DOTALL))
def test_the_cards_on_the_page_are_read(tmp_path, card):
    """As they stand there."""
    (tmp_path / "labels.txt").write_text("a\nb\n")
    (tmp_path / "model.toml").write_text(card)

    given, output, _ = read_card(tmp_path / "model.toml")

    assert given != Input() or output.kind in ("classes", "score")


def test_the_numbers_on_the_page_are_the_codes():
    """Whoever changes one changes the other."""
    assert f"**{MAX_RAW_BYTES:,} bytes**" in PAGE
    assert f"pixels, 1 to {MAX_SIDE}" in PAGE
    assert "runs five very different pictures" in PAGE
    assert 5 == len(pictures())


def test_the_export_commands_are_python():
    """There is no torch here to run them with; at least they parse, and say the same in both places."""
    (script,) = re.findall(r"^```python\n(.+?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (command,) = re.findall(r'^\$ python -c "(import torch.+?)"$', README, re.MULTILINE | re.DOTALL)

    def options(source):
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
        (export,) = [call for call in calls if ast.unparse(call.func) == "torch.onnx.export"]
        return {word.arg: ast.unparse(word.value) for word in export.keywords}

    assert options(script) == options(command)
