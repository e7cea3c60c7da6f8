"""The `tureen` command, also as `python -m server`: what must be done before anything else is loaded."""

import sys

from server.process import console, signals


def main() -> int:
    """Run this process's command line; returns the exit code."""
    console.secure_descriptors()
    if sys.argv[1:2] == ["serve"]:
        signals.hold()  # loading takes half a second, in which a server can be told to end as at any other time
        import server.process.lean  # noqa: F401 - before structlog
    from server import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
