"""What a person sees: a line that moves (plain lines where nothing can move), and one table at the end."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from tests.soak.phases import Phase

_WORD = {True: Text("kept", "green"), False: Text("VIOLATED", "bold red"), None: Text("")}
_EVERY_S = 10.0  # plain lines
_PLAIN_WIDTH = 140


class Display:
    """A context manager; the moving line ends with it."""

    def __init__(self, seed: int, scale: float) -> None:
        self._console = Console()
        if not self._console.is_terminal:
            self._console.width = _PLAIN_WIDTH
        self._console.print(f"soak: seed {seed}, scale {scale:g}", highlight=False)
        columns = (TextColumn("{task.fields[name]:9}"), BarColumn(), TextColumn("{task.description}"))
        self._progress = Progress(*columns, TimeElapsedColumn(), console=self._console, transient=True)
        self._task = self._progress.add_task("", name="", total=1.0)
        self._name, self._next = "", 0.0

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def progress(self, name: str, phase: Phase, text: str, share: float) -> None:
        """How far a phase is."""
        if name != self._name:
            self._name, self._next = name, 0.0
            self._progress.reset(self._task, total=1.0, name=name, description=phase.title)
        self._progress.update(self._task, completed=share, description=text)
        if not self._console.is_terminal and time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY_S
            self._console.print(f"{name:9} {share:4.0%}  {text}", highlight=False)

    def show(self, name: str, phase: Phase, found: dict[str, Any]) -> None:
        """One line when a phase is over, and what helps if it went wrong."""
        bad = sum(one["kept"] is False for one in found["promises"])
        word = Text("kept", "green") if not bad else Text(f"{bad} VIOLATED", "bold red")
        self._console.print(Text(f"{name:9} "), word, Text(f"in {found['raw'].get('took_s', 0):.0f} s: {phase.title}"))
        for note in found["notes"] if bad else ():
            self._console.print(Text(note, "yellow"))

    def summary(self, results: dict[str, dict[str, Any]]) -> None:
        """Everything, in one table."""
        table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
        for title in ("phase", "what", "measured", "goal", ""):
            table.add_column(title, justify="right" if title in ("measured", "goal") else "left")
        for name, found in results.items():
            for row, one in enumerate(found["promises"]):
                cells = (name if row == 0 else "", one["what"], one["measured"], one["goal"])
                table.add_row(*map(Text, cells), _WORD[one["kept"]])
        self._progress.stop()
        self._console.print(table)
