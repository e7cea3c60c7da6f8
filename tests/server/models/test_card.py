"""The model card: found, read, and refused with a message that helps."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from preprocess import IMAGENET_MEAN, IMAGENET_STD, Recipe
from server.models.card import Card, Input, ModelError, Output, find_model
from server.models.signature import Tensor, recipe_for, recipe_from_input

CARD = """
[input]
width = 32
height = 24
fit = "contain"
pad = [1, 2, 3]
colour = "BGR"
scale = 0.5
mean = [1, 2.5, 3]

[output]
labels = ["cat", "dog"]
scores = [1, 5]
tips = ["Meow.", "Woof."]
activation = "softmax"
top_k = 1
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model's folder with one version; nothing here reads the model itself."""
    folder = tmp_path / "plates"
    add_version(folder, "1")
    return folder


def add_version(folder, version):
    (folder / version).mkdir(parents=True)
    (folder / version / "model.onnx").write_bytes(b"a model")


def refused(folder, text):
    """The message for this card, without the path it starts with."""
    card = folder / "model.toml"
    card.write_text(text)
    with pytest.raises(ModelError) as caught:
        find_model(folder)
    assert str(caught.value).startswith(f"{card}: ")
    return str(caught.value).removeprefix(f"{card}: ")


def test_a_single_file(tmp_path):
    """A .onnx file is a model of its own name, with an empty card."""
    file = tmp_path / "resnet50.onnx"
    file.touch()
    located = find_model(file)

    assert (file, Card(name="resnet50", version="1")) == (located.model_file, located.card)
    assert located.card.input == Input()


def test_a_folder_without_a_card(folder):
    """A folder needs no card: everything is read off the model."""
    located = find_model(folder)

    assert located.model_file == folder / "1" / "model.onnx"
    assert located.card == Card(name="plates", version="1", input=Input(), output=Output())


def test_a_whole_card(folder):
    """What the card says is what one gets, defaults for the rest."""
    (folder / "model.toml").write_text(CARD)
    card = find_model(folder).card

    assert card.input == Input(
        width=32, height=24, fit="contain", pad=(1, 2, 3), colour="BGR", scale=0.5, mean=(1, 2.5, 3)
    )
    assert card.output == Output(
        labels=("cat", "dog"), scores=(1, 5), tips=("Meow.", "Woof."), activation="softmax", top_k=1
    )


def test_a_card_for_one_score(folder):
    """Levels by the scores at which the next one begins."""
    (folder / "model.toml").write_text(
        '[output]\nkind = "score"\nnames = ["quality"]\nlabels = ["bad", "good"]\nthresholds = [2.5]\n'
    )

    expected = Output(kind="score", names=("quality",), labels=("bad", "good"), thresholds=(2.5,))
    assert expected == find_model(folder).card.output


@pytest.mark.parametrize(
    ("versions", "highest"),
    [
        (["1", "9", "10"], "10"),
        (["2024-09-30", "2024-10-01"], "2024-10-01"),
        (["v2", "v10", "v9"], "v10"),
        (["3", "backup"], "3"),
        (["1.9", "1.10"], "1.10"),
    ],
)
def test_the_highest_version_is_served(tmp_path, versions, highest):
    """Versions are compared as people number them, not letter by letter."""
    for version in versions:
        add_version(tmp_path / "plates", version)

    assert highest == find_model(tmp_path / "plates").card.version


def test_a_given_version_is_served(folder):
    """The folder of one version serves that one, under the model's name and card."""
    add_version(folder, "2")
    (folder / "model.toml").write_text(CARD)
    located = find_model(folder / "1")

    assert located.model_file == folder / "1" / "model.onnx"
    assert ("plates", "1") == (located.card.name, located.card.version)
    assert located.card.output.labels == ("cat", "dog")


def test_a_relative_path_has_a_name(folder, monkeypatch):
    """`.` is the folder one stands in."""
    monkeypatch.chdir(folder)

    assert "plates" == find_model(Path(".")).card.name


def test_what_is_no_version_is_passed_over(folder):
    """Other folders and files beside the versions do no harm."""
    (folder / "notes").mkdir()
    (folder / "9.txt").touch()

    assert "1" == find_model(folder).card.version


def test_constants_for_other_inputs(folder):
    """Numbers, or lists of them, by the input's name."""
    (folder / "model.toml").write_text("[input.constants]\nscale_factor = [1.0, 1.0]\n'im:0' = 3\n")

    assert {"scale_factor": [1.0, 1.0], "im:0": 3} == find_model(folder).card.input.constants


def test_labels_from_a_file(folder):
    """Labels may stand in a file beside the card, one a line."""
    (folder / "labels.txt").write_text("Crème brûlée\nsoup \n", encoding="utf-8")
    (folder / "model.toml").write_text('[output]\nlabels_file = "labels.txt"\n')

    assert ("Crème brûlée", "soup") == find_model(folder).card.output.labels


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/hostname", "link.txt", "1/../../secret.txt"])
def test_labels_from_elsewhere_are_refused(folder, name):
    """A card reads nothing outside its model's folder, not even through a link."""
    (folder.parent / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(folder.parent / "secret.txt")

    message = refused(folder, f'[output]\nlabels_file = "{name}"\n')

    assert f"output.labels_file = '{name}': must be a path inside the model's folder" == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("labels = [", "Invalid value"),
        ("[inputs]", "inputs: a card has the tables [input] and [output]"),
        ("input = 5", "input: a card has the tables"),
        (
            "[input]\nwidth = 5\nheight = 5\nsize = 3",
            "input.size: there is no such key; [input] has width, height, ",
        ),
        ("[input]\nwidth = '5'\nheight = 5", "input.width = '5': Expected `int`, got `str`"),
        ("[input]\nwidth = 0\nheight = 5", "[input]: width must be from 1 to 16384, got 0"),
        (
            "[input]\nwidth = 5\nheight = 5\nfit = 'zoom'",
            "input.fit = 'zoom': must be one of stretch, cover, contain",
        ),
        ("[input]\nwidth = 5\nheight = 5\nmean = [1, 2]", "[input]: mean must be 3 finite values"),
        ("[input]\nwidth = 5\nheight = 5\npad = [1, 2]", "input.pad = [1, 2]: Expected `array` of length 3"),
        ("[output]\nkind = 'boxes'", "output.kind = 'boxes': must be one of classes, score, raw"),
        ("[output]\nnames = 'logits'", "output.names = 'logits': Expected `array`, got `str`"),
        ("[output]\nnames = []", "[output]: names must be names of the model's outputs, each once, got []"),
        ("[output]\nnames = ['a', 'a']", "[output]: names must be names of the model's outputs, each once"),
        (
            "[output]\nkind = 'classes'\nnames = ['a', 'b']",
            "[output]: names must be one where the output is classes, got ['a', 'b']",
        ),
        ("[output]\nactivation = 'relu'", "output.activation = 'relu': must be one of auto, none, softmax, sigmoid"),
        (
            "[output]\nkind = 'raw'\nactivation = 'softmax'",
            "[output]: activation must be one of auto, none where the output is raw, got 'softmax'",
        ),
        ("[output]\nkind = 'raw'\nlabels = ['a']", "[output]: labels have no effect if the output is raw"),
        (
            "[output]\nkind = 'score'\nlabels = ['a']\nscores = [1]",
            "[output]: scores have no effect if the output is one score",
        ),
        (
            "[output]\nkind = 'score'\nlabels = ['a', 'b']",
            "[output]: thresholds must be 1 finite numbers that rise, one fewer than labels, got []",
        ),
        (
            "[output]\nkind = 'score'\nlabels = ['a', 'b', 'c']\nthresholds = [2, 2]",
            "[output]: thresholds must be 2 finite numbers that rise",
        ),
        (
            "[output]\nkind = 'score'\nlabels = ['a', 'b']\nthresholds = [inf]",
            "[output]: thresholds must be 1 finite numbers that rise",
        ),
        (
            "[output]\nkind = 'classes'\nlabels = ['a', 'b']\nthresholds = [1]",
            "[output]: thresholds have no effect if the output is classes",
        ),
        ("[output]\nmax_bytes = 0", "[output]: max_bytes must be >= 1, got 0"),
        ("[output]\nkind = 'score'\nmax_bytes = 9", "[output]: max_bytes have no effect if the output is one score"),
        ("[input]\nconstants = 3", "input.constants = 3: Expected `object`, got `int`"),
        ("[output]\ntop_k = 0", "[output]: top_k must be >= 1, got 0"),
        ("[output]\ntop_k = true", "output.top_k = True: Expected `int`, got `bool`"),
        ("[output]\nlabels = []", "[output]: labels must not be empty"),
        ("[output]\nlabels = ['a', 1]", "output.labels = ['a', 1]: Expected `str`, got `int`"),
        (
            "[output]\nlabels = ['a']\nscores = [1, 2]",
            "[output]: scores must have one entry per label: 2 for 1 labels",
        ),
        ("[output]\ntips = ['a']", "[output]: tips must have one entry per label: 1 for no labels"),
        ("[output]\nlabels = ['a']\nscores = [nan]", "[output]: scores must be finite"),
        ("[output]\nlabels_file = 3", "output.labels_file = 3: must be a path inside"),
        ("[output]\nlabels_file = '.'", "output.labels_file = '.': "),
        ("[output]\nlabels_file = 'none.txt'", "output.labels_file = 'none.txt': "),
        (
            "[output]\nlabels_file = 'empty line.txt'",
            "output.labels_file = 'empty line.txt': must hold one label per",
        ),
        (
            "[output]\nlabels_file = 'a'\nlabels = ['a']",
            "output.labels_file = 'a': labels belong in the card or",
        ),
    ],
)
def test_a_bad_card_is_refused(folder, text, message):
    """The message says where, what stands there, and what should."""
    (folder / "empty line.txt").write_text("a\n\nb\n")

    assert refused(folder, text).startswith(message)


def test_a_card_that_is_not_text_is_refused(folder):
    """Bytes that are not UTF-8 are refused like any other mistake."""
    (folder / "model.toml").write_bytes(b"\xff\xfe")

    with pytest.raises(ModelError, match=r"model\.toml: "):
        find_model(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "there is no such file or folder"),
        ("model.pt", "must be a .onnx file or a folder, got a .pt file"),
        ("empty", "must hold VERSION/model.onnx"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, name, message):
    """Paths that lead to no model say what was expected there."""
    (tmp_path / "model.pt").touch()
    (tmp_path / "empty").mkdir()

    with pytest.raises(ModelError, match=message):
        find_model(tmp_path / name)


def test_a_card_in_the_wrong_place_is_refused(folder):
    """A card beside model.onnx would be overlooked, so it is an error."""
    (folder / "1" / "model.toml").write_text(CARD)

    with pytest.raises(ModelError, match="belongs one folder up"):
        find_model(folder / "1")


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        (["N", 3, 224, 224], "tensor(float)", ("NCHW", "RGB", "float32", 224, 224)),
        ([1, 3, 180, 320], "tensor(float)", ("NCHW", "RGB", "float32", 180, 320)),
        (["N", 3, "H", None], "tensor(float)", ("NCHW", "RGB", "float32", 224, 224)),
        (["N", 3, -1, 0], "tensor(float16)", ("NCHW", "RGB", "float16", 224, 224)),
        ([None, 224, 192, 3], "tensor(float)", ("NHWC", "RGB", "float32", 224, 192)),
        (["N", "H", "W", 3], "tensor(uint8)", ("NHWC", "RGB", "uint8", 224, 224)),
        (["N", 1, 28, 28], "tensor(float)", ("NCHW", "grey", "float32", 28, 28)),
        (["N", 28, 28, 1], "tensor(uint8)", ("NHWC", "grey", "uint8", 28, 28)),
        (["N", 3, 5, 3], "tensor(float)", ("NCHW", "RGB", "float32", 5, 3)),
    ],
)
def test_the_recipe_is_read_off_the_input(shape, dtype, expected):
    """Layout, channels, type and size follow from what ONNX Runtime reports."""
    recipe = recipe_from_input(shape, dtype)

    assert expected == (recipe.layout, recipe.colour, recipe.dtype, recipe.height, recipe.width)
    assert ("cover", "bilinear") == (recipe.fit, recipe.resample)


FLOATS = Tensor("x", "tensor(float)", ("N", 3, 24, 32))


@pytest.mark.parametrize(
    "given",
    [
        {"fit": "contain"},
        {"scale": 0.5},
        {"mean": (0.5,)},
        {"std": (0.5, 0.6, 0.7)},
        {"resample": "nearest", "pad": (1, 2, 3)},
    ],
    ids=lambda given: next(iter(given)),
)
def test_a_key_of_the_card_replaces_just_that_key(given):
    """All others are read off the model, as if there were no card."""
    read = recipe_for(FLOATS, Input())

    assert replace(read, **given) == recipe_for(FLOATS, Input(**given))


def test_means_that_are_read_off_follow_the_order_of_the_channels():
    """A card that only says BGR gets ImageNet's figures for blue first."""
    recipe = recipe_for(FLOATS, Input(colour="BGR"))

    assert (IMAGENET_MEAN[::-1], IMAGENET_STD[::-1]) == (recipe.mean, recipe.std)


def test_a_card_decides_where_channels_are_free():
    """Then there is nothing to be read off."""
    free = Tensor("x", "tensor(float)", ("N", "H", "W", "C"))

    recipe = recipe_for(free, Input(layout="NHWC", colour="grey", height=8))

    assert Recipe(width=224, height=8, layout="NHWC", colour="grey", scale=1 / 255) == recipe


def test_key_that_does_not_fit_the_model_is_refused():
    """With the key's rule: three means for one channel."""
    with pytest.raises(ModelError, match=r"\[input\] of model.toml: mean must be 1 finite values"):
        recipe_for(Tensor("x", "tensor(float)", ("N", 1, 8, 8)), Input(mean=(1, 2, 3)))


def test_byte_order_marks_are_no_part_of_a_file(folder):
    """Windows editors write one in front: of the card, and of the labels."""
    (folder / "labels.txt").write_text("\ufeffsoup\r\nrice\r\n", encoding="utf-8")
    (folder / "model.toml").write_text("\ufeff[output]\r\nlabels_file = 'labels.txt'\r\n", encoding="utf-8")

    assert ("soup", "rice") == find_model(folder).card.output.labels


def test_name_that_is_not_utf_8_can_be_sent(tmp_path):
    """A folder may have any bytes in its name."""
    add_version(tmp_path / os.fsdecode(b"caf\xe9"), "1")

    assert "caf\ufffd" == find_model(tmp_path / os.fsdecode(b"caf\xe9")).card.name


@pytest.mark.parametrize(
    ("channels", "dtype", "normalisation"),
    [
        (3, "tensor(float)", (1 / 255, IMAGENET_MEAN, IMAGENET_STD)),
        (1, "tensor(float)", (1 / 255, (0,), (1,))),
        (3, "tensor(double)", (1 / 255, IMAGENET_MEAN, IMAGENET_STD)),
        (3, "tensor(uint8)", (1, (0,), (1,))),
        (3, "tensor(int32)", (1, (0,), (1,))),
        (1, "tensor(int64)", (1, (0,), (1,))),
    ],
)
def test_the_normalisation_follows_from_the_input(channels, dtype, normalisation):
    """ImageNet's for three channels of floats, 0..1 for one, none for bytes."""
    recipe = recipe_from_input(["N", channels, 8, 8], dtype)

    assert normalisation == (recipe.scale, recipe.mean, recipe.std)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        (["N", 1000], "tensor(float)"),
        (["N", 3, 16, 224, 224], "tensor(float)"),
        (["N", "C", "H", "W"], "tensor(float)"),
        (["N", 4, 224, 224], "tensor(float)"),
        (["N", 3, 224, 224], "tensor(int8)"),
        (["N", 3, 20_000, 224], "tensor(float)"),
        ([], "tensor(string)"),
    ],
)
def test_an_input_that_is_no_image_is_refused(shape, dtype):
    """The message says what was found and what is needed."""
    with pytest.raises(ModelError) as caught:
        recipe_from_input(shape, dtype)

    assert str(caught.value).startswith(f"the model's input is {dtype} {shape}")
