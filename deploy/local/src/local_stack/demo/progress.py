"""How far the demo is: a moving line on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar


class Progress:
    """Shows *title* and how much of *total* is done (None: nobody knows) while the block runs."""

    def __init__(self, console: Console, title: str, total: int | None) -> None:
        self._console = console
        self._title = title
        self._total = total
        self._began = 0.0
        columns = [SpinnerColumn(), TextColumn("{task.description}")]
        counted = [BarColumn(), MofNCompleteColumn()] if total is not None else []
        self._bar = Bar(*columns, *counted, TimeElapsedColumn(), console=console, transient=True)
        self._task = self._bar.add_task(title, total=total)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()
        seconds = time.monotonic() - self._began
        if kind is None:
            count = "" if self._total is None else f"{self._total} leads "
            self._console.print(f"{count}{self._title} ({seconds:.1f} s).")

    def advance(self) -> None:
        """Count one more."""
        self._bar.advance(self._task)

    def tell(self, what: str) -> None:
        """Say what is going on."""
        self._bar.update(self._task, description=f"{self._title}: {what}")
