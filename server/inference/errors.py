"""What can be wrong with a model, for whoever runs the server."""


class ModelError(Exception):
    """A model or its card cannot be used; the message says what was found and what is needed."""


class OutputError(Exception):
    """An output of the model cannot be what was asked for, such as one with a wrong number of rows."""


def in_one_line(error: Exception) -> str:
    """What an error of ONNX Runtime's says, which may be several lines, as a part of a sentence."""
    return " ".join(str(error).split())
