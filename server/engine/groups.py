"""Exception groups, which task groups make of everything that passes through them."""


def leaves(error: BaseException) -> list[BaseException]:
    """The errors in a group and in its groups; an error that is none is its own only leaf."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]
