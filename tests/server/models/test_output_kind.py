"""How a model is served: rules on values, without a model."""

import pytest

from server.models.errors import ModelError
from server.models.output_kind import Seen, describe, resolve
from server.models.output_spec import MAX_RAW_BYTES, Output


def seen(*shape, name="x", floating=True, probabilities=False, **more):
    return Seen(name, shape, floating, probabilities, **more)


@pytest.mark.parametrize(
    ("outputs", "kind"),
    [
        ([seen(10)], "classes"),
        ([seen(2, 1, 1)], "classes"),
        ([seen(1, 7)], "classes"),
        ([seen(1)], "score"),
        ([seen()], "score"),
        ([seen(1, 1, 1)], "score"),
        ([seen(5, 14, 14)], "raw"),
        ([seen(2, 2)], "raw"),
        ([seen(10, floating=False)], "raw"),
        ([seen(floating=False)], "raw"),
        ([seen(10), seen(4, name="y")], "raw"),
    ],
)
def test_kind_is_read_off_the_outputs(outputs, kind):
    """Where the card does not say."""
    assert kind == resolve(Output(), outputs).kind


@pytest.mark.parametrize(
    ("probabilities", "asked", "activation"),
    [
        (True, "auto", "none"),
        (False, "auto", "softmax"),
        (True, "softmax", "softmax"),
        (False, "none", "none"),
        (False, "sigmoid", "sigmoid"),
    ],
)
def test_softmax_is_applied_where_needed_unless_the_card_says(probabilities, asked, activation):
    """Probabilities are left alone."""
    output = resolve(Output(activation=asked), [seen(10, probabilities=probabilities)])

    assert activation == output.activation


@pytest.mark.parametrize("kind", ["score", "raw"])
def test_other_kinds_are_left_as_they_are(kind):
    """Auto means softmax for classes only."""
    assert "none" == resolve(Output(kind=kind), [seen(1)]).activation


@pytest.mark.parametrize(
    "outputs", [[seen(10)], [seen(10, probabilities=True)], [seen(1)], [seen(3, 3), seen(2, name="y")]]
)
def test_nothing_is_left_to_decide(outputs):
    """So that a card written from the result serves the same."""
    once = resolve(Output(), outputs)

    assert once == resolve(once, outputs)
    assert "auto" not in (once.kind, once.activation)
    assert tuple(one.name for one in outputs) == once.names


LABELS = ("a", "b", "c")


@pytest.mark.parametrize(
    ("output", "outputs", "message"),
    [
        ({}, [seen(0)], "the output 'x' is empty: its shape for one image is [0]"),
        ({}, [seen(3, 0)], "the output 'x' is empty: its shape for one image is [3, 0]"),
        ({"labels": LABELS}, [seen(4)], "the card has 3 labels; the output 'x' has 4 classes"),
        ({"kind": "classes"}, [seen(3, 3)], "the output 'x' is floats of shape [3, 3] per image; classes need one row"),
        ({"kind": "classes"}, [seen(1)], "the output 'x' is floats of shape [1] per image; classes need one row"),
        ({"kind": "classes"}, [seen(9, floating=False)], "the output 'x' is whole numbers of shape [9] per image;"),
        ({"kind": "score"}, [seen(3)], "the output 'x' is floats of shape [3] per image; a score is one value"),
        ({"labels": LABELS}, [seen(3, 3)], "[output] of model.toml: labels have no effect if the output is raw"),
        ({"labels": LABELS}, [seen(1)], "[output] of model.toml: thresholds must be 2 finite numbers that rise"),
        ({"thresholds": (1.0,)}, [seen(3)], "[output] of model.toml: thresholds have no effect if the output is cl"),
        ({"activation": "softmax"}, [seen(1)], "[output] of model.toml: activation must be one of auto, none, sigm"),
        (
            {},
            [seen(3, 200, 200, json_bytes=20_000_000), seen(4, name="y", json_bytes=7)],
            "raw outputs are 20,000,007 bytes of JSON per image (x [3, 200, 200], y [4]); at most 16,777,216 are",
        ),
    ],
)
def test_what_does_not_fit_is_refused(output, outputs, message):
    """With what was found and what is needed."""
    with pytest.raises(ModelError) as caught:
        resolve(Output(**output), outputs)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(("card", "most"), [({}, MAX_RAW_BYTES), ({"max_bytes": 100}, 100)])
def test_raw_outputs_are_bounded_exactly(card, most):
    """By the bytes of their JSON, which the card may set."""
    output = Output(kind="raw", **card)

    resolve(output, [seen(3, 3, json_bytes=most)])
    with pytest.raises(ModelError, match=f"at most {most:,} are answered"):
        resolve(output, [seen(3, 3, json_bytes=most), seen(1, name="y", json_bytes=1)])


def test_output_that_may_be_empty_is_raw():
    """As the boxes of a picture in which nothing is found."""
    output = resolve(Output(), [seen(0, varies=True)])

    assert "raw" == output.kind
    assert "raw: x [0] (varies)" == describe(output, [seen(0, varies=True)])


def test_output_of_several_lengths_is_not_classes():
    """A class is a place in the row."""
    assert "raw" == resolve(Output(), [seen(7, varies=True)]).kind
    with pytest.raises(ModelError, match="classes need one row"):
        resolve(Output(kind="classes"), [seen(7, varies=True)])


@pytest.mark.parametrize(
    ("output", "outputs", "words"),
    [
        ({}, [seen(1000)], "1000 classes (softmax), top 5"),
        ({"top_k": 9}, [seen(2, probabilities=True)], "2 classes (already probabilities), top 2"),
        ({}, [seen(1)], "one score (as the model gives it)"),
        (
            {"labels": ("bad", "good"), "thresholds": (0.5,), "activation": "sigmoid"},
            [seen(1)],
            "one score (sigmoid), 2 levels",
        ),
        ({}, [seen(2, 3), seen(name="best", floating=False)], "raw: x [2, 3], best []"),
    ],
)
def test_the_operator_reads_what_is_made_of_the_output(output, outputs, words):
    """In the start-up block."""
    assert words == describe(resolve(Output(**output), outputs), outputs)
