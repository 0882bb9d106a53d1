"""Run one lesson with papermill."""

from __future__ import annotations

import contextvars
import errno
import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits_tools.errors import NotebookError
from digits_tools.folders import reason
from digits_tools.lessons import CellTime, Interrupted, Lesson, LessonError, LessonTimes, notebook_path
from digits_tools.notebook import clean_notebook, given_parameters, has_tag, read_notebook, write_notebook
from digits_tools.run.kernel import SCRATCH, kernel_environment, kernel_manager

if TYPE_CHECKING:
    from nbformat import NotebookNode


def run_lesson(
    lesson: Lesson,
    notebooks: Path,
    destination: Path,
    parameters: Mapping[str, Any],
    cwd: Path,
    on_cell: Callable[[int, int], None] = lambda cell, cells: None,
    cell_timeout: float | None = None,
    environment: Mapping[str, str | Path] | None = None,
) -> LessonTimes:
    """Run one lesson in a fresh kernel.

    The executed notebook appears whole, when the lesson has ended. A lesson that stops leaves what it has done so far.
    Nothing of this process is changed, so several threads can run lessons.

    Args:
        lesson: the lesson.
        notebooks: folder with the stored notebooks, which stay as they are.
        destination: where the executed notebook goes.
        parameters: values by name; the lesson receives those that it declares.
        cwd: existing folder that the lesson works in: what it saves lands there.
        on_cell: is called with the number of the cell that starts, from 1, and the number of cells.
        cell_timeout: minutes that a cell may take; None for no limit.
        environment: variables to set for the kernel.

    Returns:
        How long the lesson and its cells took.

    Raises:
        LessonError: the lesson stopped, or its notebook cannot be written; lesson, cell and error are named.
        Interrupted: the run was ended from outside.
    """
    path = notebook_path(lesson, notebooks)
    stored = read_notebook(path)
    given = given_parameters(stored, parameters)
    position = _Position(stored, bool(given), on_cell)
    failure: LessonError | None = None
    with tempfile.TemporaryDirectory(prefix=SCRATCH, ignore_cleanup_errors=True) as scratch:
        running = Path(scratch) / "running.ipynb"
        try:
            _execute(path, running, given, cwd, position, cell_timeout, environment or {})
        except KeyboardInterrupt:
            failure = Interrupted(f"Lesson {lesson.name} stopped in {position.description}: the run was interrupted.")
        except Exception as error:  # papermill and nbclient raise many kinds, for example where no kernel answers
            failure = LessonError(
                f"Lesson {lesson.name} stopped in {position.description}: {_reason(error, cell_timeout)}"
            )
            failure.__cause__ = error
        position.leave()
        try:
            if running.is_file():
                write_notebook(clean_notebook(read_notebook(running)), destination)
        except (OSError, NotebookError) as error:
            cause = reason(error) if isinstance(error, OSError) else str(error)
            failure = failure or LessonError(
                f"Lesson {lesson.name} came to its end, but its notebook cannot be written ({cause}): free disk space "
                "and run again."
            )
    if failure:
        failure.times = position.times
        raise failure
    return position.times


class _Position:
    """Where in the lesson the run is, in the numbers of the stored notebook, and how long its cells took."""

    def __init__(self, notebook: NotebookNode, injects: bool, on_cell: Callable[[int, int], None]) -> None:
        """Take the stored notebook, and whether papermill adds a cell of its own after the parameters."""
        self.cells = notebook.cells
        tagged = [index for index, cell in enumerate(notebook.cells) if has_tag(cell, "parameters")]
        self.injected = tagged[0] + 1 if injects and tagged else len(notebook.cells)
        self.on_cell = on_cell
        self.index = 0
        self.started = time.monotonic()
        self.entered: float | None = None  # when the cell that is being executed was started
        self.seconds: dict[int, float] = {}

    def enter(self, cell: NotebookNode, cell_index: int) -> None:
        # papermill's own cell, and an error in it, belong to the parameters cell before it
        self.index = cell_index - (cell_index >= self.injected)
        self.on_cell(self.index + 1, len(self.cells))

    def begin(self, cell: NotebookNode, cell_index: int) -> None:
        self.entered = time.monotonic()

    def leave(self, **_: Any) -> None:
        if self.entered is not None:
            self.seconds[self.index] = self.seconds.get(self.index, 0.0) + time.monotonic() - self.entered
        self.entered = None

    @property
    def times(self) -> LessonTimes:
        """How long lesson and cells took until now."""
        took = self.seconds.items()
        cells = [CellTime(index + 1, round(seconds, 2), self.first_line(index)) for index, seconds in took]
        return LessonTimes(round(time.monotonic() - self.started, 1), cells)

    def first_line(self, index: int) -> str:
        """First line of a cell."""
        lines = self.cells[index].source.strip().splitlines() if self.cells else []
        return lines[0].strip() if lines else "empty"

    @property
    def description(self) -> str:
        """Number and first line of the current cell."""
        return f"cell {self.index + 1} ({self.first_line(self.index)})"


def _execute(
    path: Path,
    running: Path,
    parameters: Mapping[str, Any],
    cwd: Path,
    position: _Position,
    cell_timeout: float | None,
    environment: Mapping[str, str | Path],
) -> None:
    """Execute a notebook with papermill, which writes to `running` after every cell."""
    import papermill  # slow: about a second

    for logger in ("papermill", "asyncio"):
        logging.getLogger(logger).addHandler(logging.NullHandler())  # what they log is in the error, once
    ipython = running.parent / "ipython"
    ipython.mkdir()
    # In a context of its own: dask hands a thread the context of its client, with an event loop that is running
    contextvars.Context().run(
        papermill.execute_notebook,
        path,
        running,
        dict(parameters),
        kernel_name="python3",
        language="python",
        progress_bar=False,
        kernel_manager_class=kernel_manager(kernel_environment(ipython, environment)),
        extra_arguments=[f"--ipython-dir={ipython}"],  # `end_kernels` knows kernels by it
        resources={"metadata": {"path": str(cwd)}},
        on_cell_start=position.enter,
        on_cell_execute=position.begin,
        on_cell_executed=position.leave,
        record_timing=False,
        execution_timeout=max(1, round(60 * cell_timeout)) if cell_timeout else None,
    )


def _reason(error: Exception, cell_timeout: float | None) -> str:
    """Describe in one line why a lesson stopped, and what helps where that is known."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill import PapermillExecutionError

    if isinstance(error, DeadKernelError):
        return "the kernel died; it was ended from outside or ran out of memory, so close other programs and run again."
    if isinstance(error, CellTimeoutError):
        return f"it took longer than the {cell_timeout:g} minutes that a cell may take; give more with --cell-timeout."
    kind, message = type(error).__name__, str(error)
    if isinstance(error, PapermillExecutionError):
        kind, message = error.ename, error.evalue
    first_line = (message.strip().splitlines() or [""])[0]
    text = f"{kind}: {first_line}".removesuffix(": ")
    if kind == "MemoryError":
        return f"{text.removesuffix('.')}; the memory is full, so close other programs and run again."
    if kind == "OSError" and f"[Errno {errno.ENOSPC}]" in first_line:
        return f"{text}; the disk is full, so free disk space and run again."
    return text
