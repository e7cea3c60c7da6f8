"""What Lambda is told to call: `server.aws_lambda.handler.handler`. Importing it starts the function.

Settings are environment variables: `TUREEN_MODEL=/models/food`, `TUREEN_SLO=500ms`.
"""

from typing import Any

from server.aws_lambda.function import Context, Event, Function
from server.process import logs
from server.settings import load_settings
from server.settings.conflicts import check

logs.configure()
_function = Function(check(load_settings([])))


def handler(event: Event, context: Context) -> Any:  # noqa: ANN401 - whatever the event's sender expects
    """Answer one event, within the time that is left."""
    return _function(event, context)
