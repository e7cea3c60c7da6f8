"""What can go wrong with access, named by whose fault it is."""


class AccessError(Exception):
    """Base of them all."""


class Unauthenticated(AccessError):
    """The credentials are missing or not valid. `reason` is one of `REASONS`: for metrics, not for the client."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


REASONS = ("missing", "malformed", "unknown_key", "expired", "bad_token", "unknown_kid", "no_issuer_keys")
"""Why credentials are refused."""


class KeyFileError(AccessError):
    """The key file cannot be used; the message says what would be right."""


class TokenSetupError(AccessError):
    """Tokens cannot be verified as configured; the message says what would be right."""


class FetchFailed(AccessError):
    """A document of the token issuer could not be fetched; the message says why."""
