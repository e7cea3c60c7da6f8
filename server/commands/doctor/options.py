"""The arguments of `tureen doctor`: those of `tureen serve`."""

ABOUT = """\
Check this machine and these settings before you serve, and say what to change. Give it what you would give
`tureen serve`. Exits with 0 if nothing is wrong, else with 1.
"""

EXAMPLES = """\
examples:
  tureen doctor                                        this machine, with the defaults
  tureen doctor food/ --config tureen.toml             a model and the settings of a file
"""
