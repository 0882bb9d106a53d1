"""The lessons of the series, and how one of them is run with papermill."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits_helpers.errors import DigitsError
from digits_helpers.files import write_whole
from digits_helpers.parameters import assigned_names

if TYPE_CHECKING:
    from nbformat import NotebookNode  # slow to import: functions do so when they need it

PROJECT = Path(__file__).resolve().parent.parent
NOTEBOOKS = PROJECT / "notebooks"
README = PROJECT / "README.md"


class SelectionError(DigitsError):
    """A lesson is asked for that the series does not have."""


class LessonError(DigitsError):
    """A lesson stopped before its end."""


class Interrupted(DigitsError):
    """Someone ended the run from outside, for example with Ctrl-C."""


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


def declared_parameters(notebook: NotebookNode) -> list[str]:
    """List the names that the notebook's cell tagged `parameters` assigns.

    papermill only warns about others, so a lesson is given nothing that it does not declare.
    """
    return [name for cell in notebook.cells if has_tag(cell, "parameters") for name in assigned_names(cell.source)]


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
    """Where in the lesson the run is, in the numbers of the stored notebook."""

    def __init__(self, notebook: NotebookNode, injects: bool, report: Callable[[int, int], None]) -> None:
        """Take the stored notebook, and whether papermill adds a cell of its own after the parameters."""
        self.notebook = notebook
        tagged = [index for index, cell in enumerate(notebook.cells) if has_tag(cell, "parameters")]
        self.injected = tagged[0] + 1 if injects and tagged else len(notebook.cells)
        self.report = report
        self.index = 0

    def enter(self, cell: NotebookNode, cell_index: int) -> None:
        """Note that papermill starts a cell."""
        # papermill's own cell, and an error in it, belong to the parameters cell before it
        self.index = cell_index - (cell_index >= self.injected)
        self.report(self.index + 1, len(self.notebook.cells))

    @property
    def description(self) -> str:
        """Number and first line of the cell."""
        lines = self.notebook.cells[self.index].source.strip().splitlines() if self.notebook.cells else []
        return f"cell {self.index + 1} ({lines[0].strip() if lines else 'empty'})"


def run_lesson(
    lesson: Lesson,
    notebooks: Path,
    destination: Path,
    parameters: dict[str, Any],
    on_cell: Callable[[int, int], None] = lambda cell, cells: None,
) -> float:
    """Run one lesson in a fresh kernel, in the destination's folder.

    The executed notebook appears whole: while the lesson runs it has another name. A lesson that stops leaves what it
    has done so far.

    Args:
        lesson: the lesson.
        notebooks: folder with the stored notebooks, which stay as they are.
        destination: where the executed notebook goes.
        parameters: values by name; the lesson receives those that it declares.
        on_cell: is called with the number of the cell that starts, from 1, and the number of cells.

    Returns:
        Seconds that the lesson took.

    Raises:
        LessonError: the lesson stopped; lesson, cell and error are named.
        Interrupted: the run was ended from outside.
    """
    source = notebook_path(lesson, notebooks)
    notebook = read_notebook(source)
    given = {name: value for name, value in parameters.items() if name in declared_parameters(notebook)}
    position = _Position(notebook, bool(given), on_cell)
    part = destination.with_name(f".part-{destination.name}")
    started = time.monotonic()
    try:
        _run_papermill(source, part, given, position)
    except _Stopped as stop:
        kind = Interrupted if stop.interrupted else LessonError
        raise kind(f"Lesson {lesson.name} stopped in {position.description}: {stop}") from stop
    finally:
        _finish_notebook(part, destination)
    return time.monotonic() - started


class _Stopped(Exception):
    """papermill did not reach the end; the message is one line."""

    def __init__(self, message: str, interrupted: bool = False) -> None:
        super().__init__(message)
        self.interrupted = interrupted


def _run_papermill(source: Path, destination: Path, parameters: dict[str, Any], position: _Position) -> None:
    """Run a notebook with papermill; every way to fail becomes `_Stopped`."""
    import papermill  # slow: about a second
    from jupyter_client import AsyncKernelManager
    from nbclient.exceptions import DeadKernelError

    class QuietKernel(AsyncKernelManager):
        """What the kernel's process says besides the notebook would tear the progress line."""

        async def start_kernel(self, **options: Any) -> None:
            await super().start_kernel(**options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    for name in ("papermill", "asyncio"):
        logging.getLogger(name).addHandler(logging.NullHandler())  # what they log is said below, once
    try:
        papermill.execute_notebook(
            source, destination, parameters, kernel_name="python3", progress_bar=False, cwd=destination.parent,
            kernel_manager_class=QuietKernel, on_cell_start=position.enter, record_timing=False,
        )  # fmt: skip
    except papermill.PapermillExecutionError as error:
        first_line = (error.evalue.strip().splitlines() or [""])[0]
        raise _Stopped(f"{error.ename}: {first_line}".removesuffix(": ")) from error
    except KeyboardInterrupt as error:
        raise _Stopped("the run was interrupted.", interrupted=True) from error
    except DeadKernelError as error:
        raise _Stopped(
            "the kernel died; it was ended from outside or ran out of memory, so close other programs and run again."
        ) from error
    except Exception as error:  # papermill and nbclient raise many kinds: a full disk, a kernel that does not answer
        reason = (str(error).strip().splitlines() or [""])[0]
        raise _Stopped(f"{type(error).__name__}: {reason}".removesuffix(": ")) from error


def _finish_notebook(part: Path, destination: Path) -> None:
    """Give what papermill has written its final name; it is cleaned where it can be read."""
    if part.is_file():
        with contextlib.suppress(LessonError):  # a kill in the middle of papermill's writing: keep what there is
            write_whole(part, notebook_text(clean_notebook(read_notebook(part))))
        os.replace(part, destination)
