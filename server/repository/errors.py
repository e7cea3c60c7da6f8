"""What can be wrong with a repository or with what is asked of it, for whoever runs the server."""


class RepositoryError(Exception):
    """Base of them all; the message is for people."""


class StateError(RepositoryError):
    """What was asked does not fit what is served now."""


class NoSuchModel(RepositoryError):
    """There is no such model in the repository."""


class Conflict(RepositoryError):
    """Somebody else has changed the state meanwhile: read it again."""


class StoreFailed(RepositoryError):
    """The state, or the repository itself, cannot be read or written just now."""
