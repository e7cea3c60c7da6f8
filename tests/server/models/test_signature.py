"""Which outputs a card is about. What follows from the input is in tests/server/models/test_card.py."""

import pytest

from server.models.errors import ModelError
from server.models.output_spec import Output
from server.models.signature import Signature, Tensor, chosen_outputs, fixed_batch, image_input

A, B = (Tensor(name, "tensor(float)", ("N", 4)) for name in "ab")


def chosen(output, *outputs):
    return [tensor.name for tensor in chosen_outputs(Signature((), outputs), output)]


def refusal(output, *outputs):
    with pytest.raises(ModelError) as caught:
        chosen(output, *outputs)
    return str(caught.value)


def test_all_outputs_unless_the_card_names_some():
    """In the model's order, or the card's."""
    assert ["a", "b"] == chosen(Output(), A, B)
    assert ["b"] == chosen(Output(names=("b",)), A, B)
    assert ["b", "a"] == chosen(Output(names=("b", "a")), A, B)


def test_unknown_name_is_refused_with_the_known():
    """As a misspelt one."""
    assert "the card names the output 'c'; the model has a, b" == refusal(Output(names=("c",)), A, B)


@pytest.mark.parametrize("kind", ["classes", "score"])
def test_one_of_several_has_to_be_named(kind):
    """The first is not better than the others."""
    message = 'the model has the outputs a, b: the card must say which, as names = ["..."]'

    assert message == refusal(Output(kind=kind), A, B)
    assert ["a"] == chosen(Output(kind=kind), A)


def test_model_without_outputs_is_refused():
    """There would be nothing to answer."""
    assert "it has no output; expected at least one" == refusal(Output())


@pytest.mark.parametrize("kind", ["tensor(string)", "seq(map(int64,tensor(float)))", "tensor(bfloat16)"])
def test_what_is_no_number_is_refused(kind):
    """Also what numpy has no type for."""
    message = refusal(Output(), A, Tensor("odd", kind, ("N",)))

    assert message.startswith(f"the output 'odd' is {kind}; needed: a tensor of numbers")


def test_model_without_inputs_is_refused():
    """It could not look at the image."""
    with pytest.raises(ModelError, match=r"it has 0 inputs \(none\); expected one: the image"):
        image_input(Signature((), (A,)))


@pytest.mark.parametrize(("shape", "batch"), [(("N", 3), None), ((None, 3), None), ((-1, 3), None), ((4, 3), 4)])
def test_batch_is_free_or_fixed(shape, batch):
    """Exporters write a free dimension in several ways."""
    assert batch == fixed_batch(Tensor("x", "tensor(float)", shape))
