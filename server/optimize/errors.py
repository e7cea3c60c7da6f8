"""What can end an optimisation, for whoever started it."""


class OptimizeError(Exception):
    """It cannot be done; the message says what was found and what is needed."""
