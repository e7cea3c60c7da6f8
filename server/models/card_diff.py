"""Where a card says something else than what is read off the model. Pure."""

from collections.abc import Iterator, Sequence

from server.models.card import Card
from server.models.card_text import text_of
from server.models.errors import ModelError
from server.models.output_kind import Seen, resolve
from server.models.output_spec import Output
from server.models.signature import Signature, Tensor, batched, recipe_from_input


def differences(card: Card, given: Tensor, signature: Signature, seen: Sequence[Seen]) -> Iterator[str]:
    """`key = value; read off the model: value`, one for each key of the card that differs.

    `given`: the input for the image. `seen`: the outputs that the card chooses.
    """
    yield from _of_input(card, given)
    names = tuple(tensor.name for tensor in signature.outputs)
    if card.output.names not in (None, names):
        yield _line("output.names", card.output.names, names)
    try:
        read = resolve(Output(names=card.output.names), seen)
    except ModelError:
        return
    for key, without in (("kind", None), ("activation", "auto")):
        value = getattr(card.output, key)
        if value not in (without, getattr(read, key)):
            yield _line(f"output.{key}", value, getattr(read, key))


def _of_input(card: Card, given: Tensor) -> Iterator[str]:
    try:
        read = recipe_from_input(batched(given).shape, given.type)
    except ModelError:
        yield from (
            f"input.{key} = {text_of(value)}; it cannot be read off the model"
            for key, value in card.input.given.items()
        )
        return
    for key, value in card.input.given.items():
        if value != getattr(read, key):
            yield _line(f"input.{key}", value, getattr(read, key))


def _line(key: str, value: object, read: object) -> str:
    return f"{key} = {text_of(value)}; read off the model: {text_of(read)}"
