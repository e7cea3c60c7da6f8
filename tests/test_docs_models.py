"""docs/models.md says what the code does."""

import ast
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from preprocess.recipe import MAX_SIDE, Recipe
from server.inference.pictures import pictures
from server.models.output_kind import MAX_RAW_VALUES
from server.models.output_spec import Output
from server.models.toml_card import read_card

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def keys(table):
    """Key -> default, as the table under this heading has them."""
    (section,) = re.findall(rf"^### `\[{table}\]`\n(.+?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| (`[^|]+`) \|([^|]*)\|", section, re.MULTILINE)
    names = [(re.findall(r"`(\w+)`", left), re.findall(r"`([^`]+)`", right)) for left, right in rows]
    return {name: default for left, right in names for name, default in zip(left, right or [None] * 9, strict=False)}


def test_every_key_of_the_input_is_documented_with_its_default():
    """And no other."""
    documented = keys("input")

    assert [field.name for field in fields(Recipe)] == list(documented)
    default = Recipe(width=1, height=1)
    shown = {name: tomllib.loads(f"x = {text}")["x"] for name, text in documented.items() if text}
    assert shown == {name: msgspec.to_builtins(getattr(default, name)) for name in shown} | {
        name: list(getattr(default, name)) for name in ("pad", "mean", "std")
    }


def test_every_key_of_the_output_is_documented():
    """And no other."""
    assert {"labels_file", *(field.name for field in fields(Output))} == keys("output").keys()


@pytest.mark.parametrize("card", re.findall(r"^```toml\n(.+?)^```", PAGE, re.MULTILINE | re.DOTALL))
def test_the_cards_on_the_page_are_read(tmp_path, card):
    """As they stand there."""
    (tmp_path / "labels.txt").write_text("a\nb\n")
    (tmp_path / "model.toml").write_text(card)

    recipe, output = read_card(tmp_path / "model.toml")

    assert output.kind in ("classes", "score")
    assert recipe is None or (224, 224) == (recipe.width, recipe.height)


def test_the_numbers_on_the_page_are_the_codes():
    """Whoever changes one changes the other."""
    assert f"**{MAX_RAW_VALUES:,} values per image**" in PAGE
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
