"""The start-up block."""

import socket

import pytest
from msgspec.structs import replace

from server.contract.metadata import FREE, ModelMetadata, TensorSpec
from server.fleet.layout.choose import Layout
from server.fleet.layout.placement import LayoutChoice
from server.settings import Settings
from server.web.banner import banner

ADDRESS = ("127.0.0.1", 0)
MODEL = ModelMetadata(
    name="plates",
    version="3",
    digest="0123456789abcdef",
    provider="CPUExecutionProvider",
    inputs=(TensorSpec("image", "FP32", (FREE, 3, 8, 8)),),
    answer="2 classes",
    notes=("on the device",),
)


@pytest.mark.parametrize(("layout", "words"), [(Layout(1, 2), "1 x 2 threads"), (Layout(2, 1), "2 x 1 thread")])
def test_block_says_what_answers_on_what_and_why(layout, words):
    """Model, input, output, provider and layout with their reasons, promise, address, and a line to try."""
    with socket.create_server(ADDRESS) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        text = banner(MODEL, Settings(), [listener.fileno()], "auto: no GPU", LayoutChoice(layout, 0, "as configured"))

    assert text.splitlines() == [
        "Tureen is serving",
        "  model     plates 3 (0123456789ab)",
        "  input     image FP32 [N, 3, 8, 8]; on the device",
        "  output    2 classes",
        "  provider  CPUExecutionProvider (auto: no GPU)",
        f"  workers   {words} (as configured)",
        "  promise   answered within 1 s, or refused at once",
        f"  address   {address}",
        "",
        f"  curl --data-binary @photo.jpg {address}/v1/images",
    ]


def test_warnings_are_shown_and_no_escapes():
    """A model's folder may have any name; a terminal would obey it."""
    model = replace(MODEL, name="\x1b[31mred", warnings=("the card is odd",))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        text = banner(model, Settings(), [listener.fileno()], "auto: no GPU", LayoutChoice(Layout(1, 1), 0, "as asked"))

    assert "  model     \\x1b[31mred 3 (0123456789ab)" == text.splitlines()[1]
    assert "  warning   the card is odd" in text.splitlines()
