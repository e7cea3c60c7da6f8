"""`tureen inspect`: what it says, and that its card, saved, serves the same."""

import subprocess
import sys
import tomllib
from dataclasses import replace

import pytest

from preprocess.recipe import Recipe
from server import demo
from server.commands import inspect as inspection
from server.inference.model import open_model
from server.models.card import find_model
from server.models.card_text import card_text
from server.models.input_spec import Input
from server.models.output_spec import Output
from server.models.render import answerer
from server.models.toml_card import read_card
from tests import models, odd_models

BUILDERS = [
    models.dense,
    models.bytes_last,
    models.half,
    models.grey_last,
    models.digits,
    models.one_score,
    models.three_outputs,
    models.everywhere,
]


def with_card(build, folder, text):
    """A model's folder."""
    (folder / "1").mkdir(parents=True)
    build(folder / "1" / "model.onnx")
    (folder / "model.toml").write_text(text)
    return folder


def comments(text, name):
    """What the comments of this name say."""
    lines = (line.split(maxsplit=2) for line in text.splitlines() if line.startswith(f"# {name}"))
    return [words for _, _, words in lines]


def inspect(*words):
    """Run the command."""
    command = [sys.executable, "-P", "-m", "server", "inspect", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_says_what_was_found_and_how_it_is_served(tmp_path):
    """In comments, so that all of it is a card."""
    ran = inspect(models.three_outputs(tmp_path / "parts.onnx"))

    comments = [line for line in ran.stdout.splitlines() if line.startswith("#")]
    assert (0, "") == (ran.returncode, ran.stderr)
    assert f"# model   parts 1, {tmp_path}/parts.onnx (" in comments[0]
    assert [
        "# input   image ['N', 3, 24, 40] tensor(float)",
        "# output  means ['N', 4] tensor(float)",
        "# output  grid ['N', 4, 6, 10] tensor(float)",
        "# output  best ['N'] tensor(int64)",
    ] == comments[1:5]
    assert comments[5].startswith("# batch   free; ")
    assert comments[6].startswith("# here    1: ")
    assert "# answer  raw: means [4], grid [4, 6, 10], best []" == comments[7]


@pytest.mark.parametrize(
    ("batch", "words"), [(1, "fixed to 1: one image at a time"), (4, "fixed to 4: fewer images are filled up")]
)
def test_it_says_that_a_batch_is_fixed(tmp_path, batch, words):
    """Whoever exported the model so may want to know."""
    assert f"# batch   {words}\n" in inspection.inspect(models.dense(tmp_path / "m.onnx", batch=batch))


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_its_card_saved_serves_the_same(tmp_path, build):
    """Recipe and output are what the bare file had, with nothing left to read off the model; the answer to a
    row is the same; and inspected again the card is the same."""
    bare = build(tmp_path / "bare.onnx")
    text = inspection.inspect(bare)
    folder = tmp_path / "saved"
    (folder / "1").mkdir(parents=True)
    bare.rename(folder / "1" / "model.onnx")
    (folder / "model.toml").write_text(text, encoding="utf-8")

    located = find_model(folder)
    served, again = open_model(located, 4), inspection.inspect(folder)

    assert (served.session.recipe, served.output) == (Recipe(**located.card.input.given), located.card.output)
    assert tomllib.loads(text) == tomllib.loads(again)
    plain = open_model(replace(located, card=replace(located.card, input=Input(), output=Output())), 4)
    row = [part[0] for part in served.session.run([0])]
    assert plain.session.recipe == served.session.recipe
    assert answerer(plain.output)(row) == answerer(served.output)(row)


def test_a_card_is_kept(tmp_path):
    """The demo model's, with its labels, scores and tips."""
    file = tmp_path / "model.toml"
    file.write_text(inspection.inspect(demo.FOLDER), encoding="utf-8")

    given, output, _ = read_card(file)
    card = find_model(demo.FOLDER).card
    whole = replace(card.input, pad=(0, 0, 0))
    assert (whole, replace(card.output, names=("probabilities",))) == (given, output)


def test_any_text_survives(tmp_path):
    """Quotes, controls, and letters from everywhere; numbers to the last digit."""
    texts = ("a\"b\\c'", "tab\tline\nend\x7f\x00\x9b31m", "Crème brûlée 🍮", "# [no] = comment")
    output = Output(kind="classes", names=("x\ny",), labels=texts, scores=(1e-05, 1e16, 0.1, -3))
    recipe = Recipe(width=3, height=2, fit="contain", pad=(1, 2, 3), scale=1 / 255, mean=(0.485, 1e-9, 3.0))
    file = tmp_path / "model.toml"
    file.write_text(card_text(recipe, output), encoding="utf-8")

    given, read, _ = read_card(file)
    assert (recipe, output) == (Recipe(**given.given), read)


def test_names_cannot_break_the_comments(tmp_path):
    """A model's author chooses them."""
    model = models.save(
        tmp_path / "m.onnx",
        [models.helper.make_node("GlobalAveragePool", ["a\nb = 1"], ["c\x1b[31m"])],
        {},
        [("a\nb = 1", models.TensorProto.FLOAT, ["N", 3, 8, 8])],
        [("c\x1b[31m", models.TensorProto.FLOAT, ["N", 3, 1, 1])],
    )

    card = tomllib.loads(inspection.inspect(model))

    assert {"input", "output"} == card.keys()
    assert ["c\x1b[31m"] == card["output"]["names"]


def test_it_says_where_the_card_differs_from_what_is_read_off_the_model(tmp_path):
    """Key by key; what the card repeats is no difference."""
    card = '[input]\nfit = "contain"\nmean = [0.5]\nwidth = 16\n[output]\nactivation = "none"\nkind = "classes"\n'

    said = comments(inspection.inspect(with_card(models.dense, tmp_path / "m", card)), "card")

    assert [
        'input.fit = "contain"; read off the model: "cover"',
        "input.mean = [0.5]; read off the model: [0.485, 0.456, 0.406]",
        'output.activation = "none"; read off the model: "softmax"',
    ] == said


def test_it_says_what_cannot_be_read_off_the_model(tmp_path):
    """And which outputs the card leaves out."""

    def build(path):
        return models.takes(path, models.TensorProto.FLOAT, ["N", "C", 8, 8])

    said = comments(inspection.inspect(with_card(build, tmp_path / "m", "[input]\nwidth = 8\n")), "card")
    few = with_card(models.three_outputs, tmp_path / "few", '[output]\nnames = ["grid"]\n')

    assert ["input.width = 8; it cannot be read off the model"] == said
    assert ['output.names = ["grid"]; read off the model: ["means", "grid", "best"]'] == comments(
        inspection.inspect(few), "card"
    )


def test_it_says_that_images_are_run_one_at_a_time(tmp_path):
    """And why: outputs that no batch leads; rows that depend on each other, which is a warning as well."""
    whole = inspection.inspect(odd_models.torchvision(tmp_path / "whole.onnx"))
    first = inspection.inspect(models.one_at_a_time(tmp_path / "first.onnx"))

    assert ["one image at a time: its outputs are not led by the batch"] == comments(whole, "batch")
    assert comments(first, "batch")[0].startswith("one image at a time: a batch of 2 fails: ")
    assert comments(first, "warning")[0].startswith("images are run one at a time: a batch of 2 fails: ")


def test_it_warns_of_a_card_that_is_likely_to_be_wrong(tmp_path):
    """Bytes as they are, where the model's answers say that it took 0 to 1."""
    said = comments(inspection.inspect(with_card(models.digits, tmp_path / "m", "[input]\nscale = 1.0\n")), "warning")

    assert 1 == len(said)
    assert said[0].endswith("the model is certain of its answer whatever the picture: was it 0 to 1?")


def test_escapes_in_a_path_are_not_printed(tmp_path):
    """A terminal would obey them."""
    ran = inspect(tmp_path / "\x1b[31mred")

    assert "\\x1b[31mred" in ran.stderr
    assert "\x1b" not in ran.stderr


@pytest.mark.parametrize("name", ["missing.onnx", "words.onnx"])
def test_what_cannot_be_served_is_refused(tmp_path, name):
    """On standard error, with exit code 1 and no card."""
    models.says_words(tmp_path / "words.onnx")

    ran = inspect(tmp_path / name)

    assert (1, "") == (ran.returncode, ran.stdout)
    assert ran.stderr.startswith(f"tureen: {tmp_path / name} cannot be served: ")
    assert 1 == len(ran.stderr.splitlines())


@pytest.mark.parametrize("words", [[], ["a.onnx", "b.onnx"], ["--fast", "a.onnx"]])
def test_a_command_line_that_makes_no_sense_is_refused(words):
    """As everywhere: exit code 2."""
    ran = inspect(*words)

    assert 2 == ran.returncode
    assert "usage: tureen" in ran.stderr
