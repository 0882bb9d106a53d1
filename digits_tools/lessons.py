"""The lessons of the series, and how one of them is run with papermill."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits_helpers.errors import DigitsError
from digits_helpers.files import reason, write_json, write_whole
from digits_helpers.parameters import assigned_names, check_batch_size

if TYPE_CHECKING:
    from nbformat import NotebookNode  # slow to import: functions do so when they need it

    from digits_helpers.data import Digits

PROJECT = Path(__file__).resolve().parent.parent
NOTEBOOKS = PROJECT / "notebooks"
README = PROJECT / "README.md"
KERNEL_FILE = ".kernel.json"  # beside the notebook that runs: which process executes it
MEMORY = "digits-memory:"  # how the names begin that papermill reads and writes in memory


@dataclass(frozen=True)
class CellTime:
    """How long one cell took.

    Attributes:
        number: from 1, in the numbering of the stored notebook.
        seconds: wall time, rounded to 0.01.
        source: first line of the cell.
    """

    number: int
    seconds: float
    source: str


@dataclass(frozen=True)
class LessonTimes:
    """How long a lesson took.

    Attributes:
        seconds: wall time with the start and the end of the kernel, rounded to 0.1.
        cells: the code cells that were executed, in order.
    """

    seconds: float
    cells: list[CellTime] = field(default_factory=list)


class SelectionError(DigitsError):
    """A lesson is asked for that the series does not have."""


class LessonError(DigitsError):
    """A lesson stopped before its end.

    Attributes:
        times: how long it and its cells took until then; None when it did not start.
    """

    times: LessonTimes | None = None


class Interrupted(DigitsError):
    """Someone ended the run from outside, for example with Ctrl-C.

    Attributes:
        times: how long the lesson and its cells took until then; None when it was not in a lesson.
    """

    times: LessonTimes | None = None


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Attributes:
        slug: name of its notebook, without the ending; its first two digits are the lesson's number.
        title: its heading.
        question: what the reader can answer afterwards, one line.
        reading: minutes for reading.
        running: minutes for running all cells on two cores, with MNIST.
        exercises: minutes for the exercises.
    """

    slug: str
    title: str
    question: str
    reading: int
    running: int
    exercises: int

    @property
    def number(self) -> str:
        """Two digits, as in "04"."""
        return self.slug[:2]

    @property
    def name(self) -> str:
        """Number and title, as in "04 Train the network"."""
        return f"{self.number} {self.title}"

    @property
    def notebook(self) -> str:
        """File name of the notebook."""
        return f"{self.slug}.ipynb"

    @property
    def page(self) -> str:
        """File name of the page in a report."""
        return f"{self.slug}.html"


# The one list of the lessons: run order, report, navigation cells and README's table all come from it.
LESSONS = (
    Lesson("01_explore_data", "Explore the data", "What is in the digits, and how far does one get without a network?", 25, 1, 20),
    Lesson("02_preprocess", "Preprocess the images", "Why scale, reshape, encode and split, and what goes wrong without?", 25, 1, 20),
    Lesson("03_build_cnn", "Build the CNN", "What does each layer compute, and where do its parameters come from?", 35, 1, 25),
    Lesson("04_train", "Train the network", "How does the network learn, and how does one see when it learns too much?", 30, 12, 25),
    Lesson("05_evaluate", "Evaluate the network", "How good is it, how sure is that number, and which digits does it miss?", 30, 1, 25),
)


def select_lessons(text: str) -> tuple[Lesson, ...]:
    """Choose lessons by their numbers.

    Args:
        text: one number, a range or a list of both, as in "02", "01-05" or "01,03-04".

    Returns:
        The lessons in the order of the series, each once.

    Raises:
        SelectionError: the text is none of these, or names a lesson that does not exist.
    """
    chosen: set[str] = set()
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        numbers = [lesson.number for lesson in LESSONS]
        ends = [end.zfill(2) for end in ((first, last) if dash else (first, first))]
        if any(end not in numbers for end in ends) or ends[0] > ends[1]:
            raise SelectionError(
                f"lessons = {text!r} is not allowed: give numbers from {numbers[0]} to {numbers[-1]}, one, a range or "
                f"a list of them, for example 02 or {numbers[0]}-{numbers[-1]} or 01,03."
            )
        chosen.update(number for number in numbers if ends[0] <= number <= ends[1])
    return tuple(lesson for lesson in LESSONS if lesson.number in chosen)


def notebook_path(lesson: Lesson, folder: Path) -> Path:
    """Find a lesson's notebook.

    Args:
        lesson: the lesson.
        folder: the folder with the notebooks.

    Returns:
        Its path.

    Raises:
        LessonError: it is not there.
    """
    path = folder / lesson.notebook
    if not path.is_file():
        raise LessonError(
            f"The notebook {lesson.notebook} is not in {str(folder)!r}: run this from a complete copy of the project, "
            "installed with `pip install -r requirements.txt` in its folder."
        )
    return path


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook.

    Raises:
        LessonError: the file is damaged.
    """
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, AttributeError, KeyError, nbformat.ValidationError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise LessonError(f"The notebook {path.name} cannot be read ({reason[0]}): get a fresh copy of it.") from error


def notebook_text(notebook: NotebookNode) -> str:
    """Turn a notebook into the text of its file, always in the same form, with a line end at the end."""
    import nbformat

    return nbformat.writes(notebook).rstrip("\n") + "\n"


def has_tag(cell: NotebookNode, tag: str) -> bool:
    """Tell whether a cell has a tag."""
    return tag in cell.metadata.get("tags", [])


def resolve_data(dataset: str, batch_sizes: Iterable[int], say: Callable[[str], None]) -> Digits:
    """Find, once, the data that all lessons of a run will use, and check what depends on them.

    Args:
        dataset: "auto", "mnist" or "embedded".
        batch_sizes: those that lessons will train with.
        say: receives lines for people: which data these are.

    Returns:
        The data set.

    Raises:
        DatasetError: it cannot be had.
        ParameterError: a batch is larger than the training part.
    """
    from digits_helpers.data import load_digits
    from digits_helpers.preprocess import split_indices

    digits = load_digits(dataset)
    training, _ = split_indices(digits.train_labels)
    for batch_size in batch_sizes:
        check_batch_size(batch_size, len(training))
    say(f"Data: {digits.title}, {len(digits.train_labels):,} training and {len(digits.test_labels):,} test images.")
    if digits.notice:
        say("\n" + digits.notice.replace("*", "").replace("`", "") + "\n")
    return digits


def declared_parameters(notebook: NotebookNode) -> list[str]:
    """List the names that the notebook's cell tagged `parameters` assigns.

    papermill only warns about others, so a lesson is given nothing that it does not declare.
    """
    return [name for cell in notebook.cells if has_tag(cell, "parameters") for name in assigned_names(cell.source)]


def given_parameters(notebook: NotebookNode, parameters: dict[str, Any]) -> dict[str, Any]:
    """Choose, of the parameters of a run, those that a lesson is given: the ones that it declares."""
    declared = declared_parameters(notebook)
    return {name: value for name, value in parameters.items() if name in declared}


def clean_notebook(notebook: NotebookNode) -> NotebookNode:
    """Remove what running adds and nobody reads: papermill's records (with paths), times, versions, widget states.

    Args:
        notebook: an executed notebook; it is changed.

    Returns:
        The same notebook.
    """
    notebook.metadata.pop("papermill", None)
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]  # papermill gives every cell an empty list
        if cell.cell_type == "code":
            cell.outputs = join_streams(cell.outputs)
    return notebook


def join_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join text outputs that follow each other: how a kernel cuts its text into messages is a matter of timing."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def absolute_folders() -> dict[str, str]:
    """Return the environment variables that name folders of data, with absolute paths.

    Kernels work in another folder than this process; a path that is relative to this one would lead nowhere.
    """
    names = ("DIGITS_DATA_DIR", "KERAS_HOME")
    return {name: str(Path(os.environ[name]).expanduser().resolve()) for name in names if os.environ.get(name)}


@contextlib.contextmanager
def kernel_environment(**variables: str | Path | None) -> Iterator[None]:
    """Set the environment that kernels inherit, for the time of the block.

    Args:
        variables: name to value; None removes the variable.
    """
    wanted: dict[str, str | Path | None] = {
        "TQDM_DISABLE": "1",  # a progress bar must leave nothing in an output
        "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel of this Python, not one of the same name in the home folder
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # a debugger that nobody uses here warns on the terminal otherwise
        **absolute_folders(),
        **variables,
    }
    before = {name: os.environ.get(name) for name in [*wanted, "IPYTHONDIR"]}
    # An IPython set up by the reader (start-up files, other figure formats) would change what the lessons show.
    with tempfile.TemporaryDirectory(prefix="digits-", ignore_cleanup_errors=True) as ipython:
        try:
            _set_environment({**wanted, "IPYTHONDIR": ipython})
            yield
        finally:
            _set_environment(before)


def _set_environment(variables: dict[str, str | Path | None]) -> None:
    """Set environment variables; None removes one."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = str(value)


class _Position:
    """Where in the lesson the run is, in the numbers of the stored notebook, and how long its cells took."""

    def __init__(self, notebook: NotebookNode, injects: bool, report: Callable[[int, int], None]) -> None:
        """Take the stored notebook, and whether papermill adds a cell of its own after the parameters."""
        self.notebook = notebook
        tagged = [index for index, cell in enumerate(notebook.cells) if has_tag(cell, "parameters")]
        self.injected = tagged[0] + 1 if injects and tagged else len(notebook.cells)
        self.report = report
        self.index = 0
        self.started = time.monotonic()
        self.entered: float | None = None  # when the cell that is being executed was started
        self.seconds: dict[int, float] = {}

    def enter(self, cell: NotebookNode, cell_index: int) -> None:
        """Note that papermill comes to a cell."""
        # papermill's own cell, and an error in it, belong to the parameters cell before it
        self.index = cell_index - (cell_index >= self.injected)
        self.report(self.index + 1, len(self.notebook.cells))

    def begin(self, cell: NotebookNode, cell_index: int) -> None:
        """Note that the kernel receives the cell; cells of text never get here."""
        self.entered = time.monotonic()

    def leave(self, **_: Any) -> None:
        """Note that the cell has ended, well or not."""
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
        """First line of a cell of the stored notebook."""
        lines = self.notebook.cells[index].source.strip().splitlines() if self.notebook.cells else []
        return lines[0].strip() if lines else "empty"

    @property
    def description(self) -> str:
        """Number and first line of the cell."""
        return f"cell {self.index + 1} ({self.first_line(self.index)})"


def run_lesson(
    lesson: Lesson,
    notebooks: Path,
    destination: Path,
    parameters: dict[str, Any],
    on_cell: Callable[[int, int], None] = lambda cell, cells: None,
    cell_timeout: float | None = None,
) -> LessonTimes:
    """Run one lesson in a fresh kernel, in the destination's folder.

    The executed notebook appears whole, when the lesson has ended. A lesson that stops leaves what it has done so far.

    Args:
        lesson: the lesson.
        notebooks: folder with the stored notebooks, which stay as they are.
        destination: where the executed notebook goes.
        parameters: values by name; the lesson receives those that it declares.
        on_cell: is called with the number of the cell that starts, from 1, and the number of cells.
        cell_timeout: minutes that a cell may take; None for no limit.

    Returns:
        How long the lesson and its cells took.

    Raises:
        LessonError: the lesson stopped, or its notebook cannot be written; lesson, cell and error are named.
        Interrupted: the run was ended from outside.
    """
    notebook = read_notebook(notebook_path(lesson, notebooks))
    given = given_parameters(notebook, parameters)
    position = _Position(notebook, bool(given), on_cell)
    failure: LessonError | Interrupted | None = None
    name = f"{MEMORY}{lesson.notebook}"
    memory = _memory()
    memory.texts[name] = notebook_text(notebook)
    try:
        _run_papermill(name, destination.parent, given, position, cell_timeout)
    except _Stopped as stop:
        kind = Interrupted if stop.interrupted else LessonError
        failure = kind(f"Lesson {lesson.name} stopped in {position.description}: {stop}")
    finally:
        position.leave()
        end_kernel(destination.parent)
    unwritten = _store(lesson, memory.texts.pop(name), destination)
    failure = failure or unwritten
    if failure:
        failure.times = position.times
        raise failure
    return position.times


class _Memory:
    """Where papermill reads and writes notebooks: no folder name, full disk or kill can spoil one half written.

    papermill calls this an input/output handler; files are written by `run_lesson`, once and whole.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.texts: dict[str, str] = {}

    def read(self, name: str) -> str:
        """Return a notebook's text."""
        return self.texts[name]

    def write(self, text: str, name: str) -> None:
        """Keep a notebook's text."""
        self.texts[name] = text

    def pretty_path(self, name: str) -> str:
        """Return the name for papermill's log."""
        return name


@functools.cache
def _memory() -> _Memory:
    """Make papermill use memory for names that begin with `MEMORY`."""
    from papermill.iorw import papermill_io  # slow: about a second

    memory = _Memory()
    papermill_io.register(MEMORY, memory)
    return memory


class _Stopped(Exception):
    """papermill did not reach the end; the message is one line."""

    def __init__(self, message: str, interrupted: bool = False) -> None:
        super().__init__(message)
        self.interrupted = interrupted


def _run_papermill(
    name: str, folder: Path, parameters: dict[str, Any], position: _Position, cell_timeout: float | None
) -> None:
    """Run a notebook with papermill; every way to fail becomes `_Stopped`."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    for logger in ("papermill", "asyncio"):
        logging.getLogger(logger).addHandler(logging.NullHandler())  # what they log is said below, once
    try:
        papermill.execute_notebook(
            name, name, parameters, kernel_name="python3", progress_bar=False, cwd=folder,
            kernel_manager_class=_kernel_manager(folder), on_cell_start=position.enter, on_cell_execute=position.begin,
            on_cell_executed=position.leave, record_timing=False,
            execution_timeout=max(1, round(60 * cell_timeout)) if cell_timeout else None,
        )  # fmt: skip
    except papermill.PapermillExecutionError as error:
        raise _Stopped(_cell_error(error.ename, error.evalue)) from error
    except KeyboardInterrupt as error:
        raise _Stopped("the run was interrupted.", interrupted=True) from error
    except DeadKernelError as error:
        raise _Stopped(
            "the kernel died; it was ended from outside or ran out of memory, so close other programs and run again."
        ) from error
    except CellTimeoutError as error:
        raise _Stopped(
            f"it took longer than the {cell_timeout:g} minutes that a cell may take; give more with --cell-timeout."
        ) from error
    except Exception as error:  # papermill and nbclient raise many kinds, for example where a kernel does not answer
        raise _Stopped(_cell_error(type(error).__name__, str(error))) from error


def _cell_error(kind: str, message: str) -> str:
    """Say in one line what went wrong, and what helps where that is known."""
    first_line = (message.strip().splitlines() or [""])[0]
    said = f"{kind}: {first_line}".removesuffix(": ")
    if kind == "MemoryError":
        return f"{said.removesuffix('.')}; the memory is full, so close other programs and run again."
    if kind == "OSError" and f"[Errno {errno.ENOSPC}]" in first_line:
        return f"{said}; the disk is full, so make room and run again."
    return said


def _kernel_manager(folder: Path) -> type:
    """Make the class that starts a kernel whose process can be found again in `folder`."""
    from jupyter_client import AsyncKernelManager

    class FoundKernel(AsyncKernelManager):
        async def start_kernel(self, **options: Any) -> None:
            # What the kernel's process says besides the notebook would tear the progress line
            await super().start_kernel(**options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with contextlib.suppress(OSError):  # the lesson will say that nothing can be written
                write_json(folder / KERNEL_FILE, {"pid": self.provisioner.pid, "connection": self.connection_file})

    return FoundKernel


def end_kernel(folder: Path) -> None:
    """End the kernel that a run has left in a folder, so that it writes nothing into the next run.

    A kernel ends itself within about a second when the process that started it is killed. A run that follows at once
    must not wait for that.

    Args:
        folder: folder of the notebook that the kernel executes.
    """
    import psutil

    path = folder / KERNEL_FILE
    try:
        kernel = json.loads(path.read_text(encoding="utf-8"))
        process = psutil.Process(kernel["pid"])
        if kernel["connection"] in process.cmdline():  # else the number belongs to another process by now
            process.kill()
            process.wait(10)
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        pass  # none there, or ended: nothing is left to do
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _store(lesson: Lesson, text: str, destination: Path) -> LessonError | None:
    """Write the executed notebook, cleaned; return what prevents it."""
    import nbformat

    try:
        write_whole(destination, notebook_text(clean_notebook(nbformat.reads(text, as_version=4))))
    except OSError as error:
        return LessonError(
            f"Lesson {lesson.name} came to its end, but its notebook cannot be written ({reason(error)}): make room "
            "and run again."
        )
    return None
