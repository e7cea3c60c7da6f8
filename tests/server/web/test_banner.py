"""The start-up block."""

import socket

import pytest

from server.dispatch.answer import ModelInfo
from server.settings import Settings
from server.web.banner import banner

MODEL = ModelInfo("plates", "3", "0123456789abcdef", "image [1]", "CPUExecutionProvider", "2 classes")


@pytest.mark.parametrize(("workers", "words"), [(1, "1 worker"), (2, "2 workers")])
def test_block_says_what_answers_on_what_and_why(workers, words):
    """Model, input, output, provider with its reason, promise, address, and a line to try."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        text = banner(MODEL, Settings(), listener.fileno(), workers, "auto: there is no NVIDIA GPU here")

    assert text.splitlines() == [
        "Tureen is serving",
        "  model     plates 3 (0123456789ab)",
        "  input     image [1]",
        "  output    2 classes",
        f"  provider  CPUExecutionProvider, {words} (auto: there is no NVIDIA GPU here)",
        "  promise   answered within 1 s, or refused at once",
        f"  address   {address}",
        "",
        f"  curl --data-binary @photo.jpg {address}/v1/images",
    ]
