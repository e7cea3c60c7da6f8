"""Text of others on a terminal."""

import pytest

from server.process.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Crème brûlée 🍮 1.onnx", "Crème brûlée 🍮 1.onnx"),
        ("\x1b[31mred\x9b0m", "\\x1b[31mred\\x9b0m"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("caf\udce9", "caf\\udce9"),
        ("right \u202e left", "right \\u202e left"),
    ],
)
def test_what_is_not_printable_is_escaped(text, shown):
    """Control characters, line breaks, bytes that are not UTF-8, turns of direction."""
    assert shown == printable(text)
