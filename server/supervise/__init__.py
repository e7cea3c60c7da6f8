"""The parent of all processes: it owns the listening socket, the signals and the exit code."""
