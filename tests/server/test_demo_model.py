"""The demo model computes what its paper says, recomputed here in plain numpy."""

import numpy as np
import onnxruntime
import pytest

from preprocess.recipe import Recipe
from server.demo import FOLDER, build
from server.models.card import find_model
from server.models.signature import recipe_from_input

LEVELS = (0, 15, 33, 45, 59, 82, 109)


@pytest.fixture(scope="module")
def session():
    """The model as it is shipped."""
    return onnxruntime.InferenceSession(find_model(FOLDER).model_file, providers=["CPUExecutionProvider"])


def colourfulness(picture):
    """M of one picture, float64 (3, height, width)."""
    red, green, blue = picture.astype(np.float64)
    rg, yb = red - green, (red + green) / 2 - blue
    return np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())


def memberships(m):
    """The weight of each class: 1 at its own level, falling to 0 at its neighbours', 1 beyond the last."""
    return np.array([np.interp(m, LEVELS, np.eye(len(LEVELS))[k]) for k in range(len(LEVELS))])


def picture(kind, side=224):
    """A synthetic picture, float32 (3, side, side), 0..255."""
    random = np.random.default_rng(11)
    x = np.broadcast_to(np.linspace(0, 255, side), (side, side))
    noise = random.uniform(0, 255, (3, side, side))
    made = {
        "black": np.zeros((3, side, side)),
        "white": np.full((3, side, side), 255.0),
        "grey": np.stack([x, x, x]),
        "red": np.stack([np.full_like(x, 255), 0 * x, 0 * x]),
        "pale": 200 + noise / 30,
        "tinted": np.stack([x, x * 0.8, x * 0.6]),
        "gradients": np.stack([x, x.T, 255 - x]),
        "noise": noise,
        "flag": np.stack([np.where(x < 128, 255, 0), 0 * x, np.where(x < 128, 0, 255)]),
    }
    return made[kind].astype(np.float32)


KINDS = ["black", "white", "grey", "red", "pale", "tinted", "gradients", "noise", "flag"]


def answers(session, *pictures):
    """Rows of class weights."""
    return session.run(None, {"image": np.stack(pictures)})[0]


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_those_of_the_paper(session, kind):
    """The weights follow from M as recomputed."""
    (row,) = answers(session, picture(kind))

    np.testing.assert_allclose(row, memberships(colourfulness(picture(kind))), atol=1e-4)


def test_the_pictures_cover_the_scale():
    """The pictures of these tests fall on both ends of the scale and between."""
    best = {int(memberships(colourfulness(picture(kind))).argmax()) for kind in KINDS}

    assert {0, 6} < best
    assert len(best) >= 4


@pytest.mark.parametrize("kind", ["black", "white", "grey"])
def test_grey_is_not_colourful_at_all(session, kind):
    """M of a grey picture is 0, exactly."""
    assert answers(session, picture(kind))[0].tolist() == [1, 0, 0, 0, 0, 0, 0]


def test_a_batch_of_any_size_is_answered_row_by_row(session):
    """Each row depends on its own picture only, and sums to 1."""
    pictures = [picture(kind) for kind in KINDS]
    together = answers(session, *pictures)

    assert together.shape == (len(KINDS), len(LEVELS))
    np.testing.assert_allclose(together, np.concatenate([answers(session, one) for one in pictures]), atol=1e-5)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)


def test_the_shipped_model_is_the_built_one():
    """`python -m server.demo.build` would change nothing."""
    assert build.build().SerializeToString(deterministic=True) == build.MODEL_FILE.read_bytes()


def test_the_card_fits_the_model(session):
    """The card's recipe gives the model's input, and each class has its label, score and tip."""
    card = find_model(FOLDER).card
    given = session.get_inputs()[0]

    assert card.name == "colourfulness"
    assert Recipe(width=224, height=224, fit="stretch") == recipe_from_input(given.shape, given.type, card.input)
    assert card.output.scores == (1, 2, 3, 3, 4, 5, 5)
    assert len(card.output.labels) == len(card.output.tips) == session.get_outputs()[0].shape[1]
