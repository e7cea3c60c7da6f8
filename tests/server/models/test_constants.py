"""Inputs that are the same for every picture: rules on values."""

import pytest

from server.models.constants import constants_for
from server.models.errors import ModelError
from server.models.signature import Signature, Tensor, image_input

IMAGE = Tensor("image", "tensor(float)", ("N", 3, 8, 8))


def given(shape, value, kind="tensor(float)"):
    (constant,) = constants_for([Tensor("k", kind, shape)], {"k": value})
    return constant


@pytest.mark.parametrize(
    ("shape", "value", "of_three"),
    [
        (("N", 2), [1.0, 2.0], [[1, 2]] * 3),
        (("N", 2), [[1.0, 2.0]], [[1, 2]] * 3),
        ((None,), 5, [5, 5, 5]),
        ((1, 2), [1.0, 2.0], [[1, 2]]),
        ((2, 2), [[1.0, 2.0], [3, 4]], [[1, 2], [3, 4]]),
        ((), 7, 7),
        (("boxes", 1), [[1.0], [2.0]], [[1], [2]]),
    ],
)
def test_a_free_first_dimension_is_the_batch(shape, value, of_three):
    """One image's value is repeated for each; any other is given as it is."""
    assert of_three == given(shape, value).for_batch(3).tolist()


@pytest.mark.parametrize(
    ("kind", "dtype"), [("tensor(float)", "float32"), ("tensor(int64)", "int64"), ("tensor(bool)", "bool")]
)
def test_a_constant_has_its_inputs_type(kind, dtype):
    """Whatever the number in the card looks like."""
    assert dtype == given((), 1, kind).for_batch(1).dtype


@pytest.mark.parametrize(
    ("shape", "value", "kind", "message"),
    [
        (("N", 2), [1.0, 2.0, 3.0], "tensor(float)", "its shape is [1, 3]; the input is k ['N', 2] tensor(float)"),
        ((2,), [[[1.0]]], "tensor(float)", "its shape is [1, 1, 1]"),
        (("N",), "word", "tensor(float)", "must be a number, or lists of numbers"),
        (("N", 2), [[1.0], [1.0, 2.0]], "tensor(float)", "must be a number, or lists of numbers of one length"),
        ((), 1.5, "tensor(int64)", "must be numbers that tensor(int64) can hold"),
        ((), -1, "tensor(uint8)", "must be"),
        ((), 1, "tensor(string)", "the input is tensor(string); a constant is a number or lists of numbers"),
    ],
)
def test_a_constant_that_does_not_fit_is_refused(shape, value, kind, message):
    """With the key, the value and the rule."""
    with pytest.raises(ModelError) as caught:
        given(shape, value, kind)

    assert str(caught.value).startswith("input.constants.k of model.toml")
    assert message in str(caught.value)


def test_the_image_is_the_input_without_a_constant():
    """And all others must have one; a name that no input has is a mistake."""
    signature = Signature((Tensor("k", "tensor(float)", ("N", 2)), IMAGE), ())

    assert IMAGE == image_input(signature, {"k": [1, 1]})
    with pytest.raises(ModelError, match=r"Each other needs a constant in the \[input.constants\] of model.toml"):
        image_input(signature)
    with pytest.raises(ModelError, match="a constant for the input 'c'; the model has k"):
        image_input(signature, {"c": 1})
