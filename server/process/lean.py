"""Imported first by each process of a server that logs: loads structlog without rich.

structlog loads rich wherever it is installed, for tracebacks on a terminal. That is a third of a process's imports, and
a server's processes log JSON or plain lines.
"""

import sys

if "structlog" not in sys.modules:  # a host program has its own wishes
    hidden = sys.modules.get("rich")
    sys.modules["rich"] = None  # type: ignore[assignment] # what Python takes for "cannot be imported"
    import structlog  # noqa: F401 - loaded for the others

    del sys.modules["rich"]
    if hidden is not None:
        sys.modules["rich"] = hidden
