"""The bar that long work shows on a terminal."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar:
    """What is being done and how far it is, on a terminal; elsewhere nothing is shown. A context manager."""

    def __init__(self, console: Console, work: str, *, time_left: bool = False) -> None:
        """`work`: its name. `time_left`: show the time that it will take, in place of the time it has taken."""
        doing = TextColumn("{task.description}")
        columns = (TimeRemainingColumn(), doing) if time_left else (doing, TimeElapsedColumn())
        self._progress = Progress(
            TextColumn(work), BarColumn(), *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self._task = self._progress.add_task("", total=1.0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, done: float, doing: str, total: float = 1.0) -> None:
        """`done` of `total`, and what is being done."""
        self._progress.update(self._task, completed=done, total=total, description=doing)
