"""How an image of a message can end other than with an answer."""


class Spoiled(Exception):
    """It can never be answered. `reason`: a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Later(Exception):
    """It was not answered now. `reason`: a code. `at_fault`: whether the image may be the cause."""

    def __init__(self, reason: str, *, at_fault: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at_fault = at_fault
