"""Text of others on a terminal: a file's name may hold what a terminal takes for an order."""


def printable(text: str) -> str:
    """`text` with escapes in place of what is not printable: control characters, bytes that are not UTF-8."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
