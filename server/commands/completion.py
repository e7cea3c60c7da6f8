"""`tureen completion SHELL`: what a shell needs to complete the command line. The parser says what there is."""

import argparse
from collections.abc import Callable, Sequence

ABOUT = """\
Print a script that completes commands, flags and files of `tureen` in a shell.
"""

EXAMPLES = """\
examples:
  tureen completion bash > ~/.local/share/bash-completion/completions/tureen
  tureen completion zsh > ~/.zfunc/_tureen             with fpath+=~/.zfunc before compinit in ~/.zshrc
  tureen completion fish > ~/.config/fish/completions/tureen.fish
"""

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the command's one argument."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that will read it")


def run(argv: Sequence[str], whole: Callable[[], argparse.ArgumentParser]) -> int:
    """Print the script for the parser that `whole` gives. Raises `SystemExit` with 2 after an unknown shell."""
    parser = argparse.ArgumentParser(prog="tureen completion", allow_abbrev=False)
    add_arguments(parser)
    shell: str = parser.parse_args(argv).shell
    import shtab  # nothing else needs it

    described = whole()
    _complete_files(described, shtab.FILE)
    print(shtab.complete(described, shell=shell))
    return 0


def _complete_files(parser: argparse.ArgumentParser, files: object) -> None:
    """Offer files for whatever takes a value and names no choices."""
    for action in parser._actions:  # argparse has no other way to ask, and shtab reads it as well
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                _complete_files(each, files)
        elif action.nargs != 0 and not action.choices:
            action.complete = files  # type: ignore[attr-defined]  # shtab's name for it
