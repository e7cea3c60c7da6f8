"""What can be wrong with a model, for whoever runs the server."""

import re

_OF_CUDA = re.compile(
    r"\bCU[A-Z]+ failure \d+: [^;]*[^; ]"
)  # in the midst of C++ signatures, file names and the host's


class ModelError(Exception):
    """A model or its card cannot be used; the message says what was found and what is needed."""


class OutputError(Exception):
    """An output of the model cannot be what was asked for, such as one with a wrong number of rows."""


def in_one_line(error: Exception) -> str:
    """What an error of ONNX Runtime's says, which may be several lines, as a part of a sentence; of one of CUDA's, what
    CUDA says."""
    words = " ".join(str(error).split())
    found = _OF_CUDA.search(words)
    return found[0] if found else words
