"""Rewrite the stored outputs of the lessons, and the network that ships with them, from one real run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from digits_tools.folders import atomic_write
from digits_tools.lessons import LESSONS, NOTEBOOKS, Lesson, networks_folder, notebook_path
from digits_tools.maintain.navigation import set_navigation
from digits_tools.notebook import clean_notebook, load_series_tolerances, notebook_text, read_notebook
from digits_tools.run import run_lesson, show_progress

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from nbval_tolerance import Tolerances

SHOWN = 4  # differences of one cell that are listed


def refresh(
    lessons: tuple[Lesson, ...] = LESSONS,
    notebooks: Path = NOTEBOOKS,
    networks: Path | None = None,
    echo: Callable[[str], None] = print,
) -> list[str]:
    """Run lessons on MNIST with the parameters stored in them, and store their outputs.

    Everything happens in a temporary folder, and stored files are replaced at the end: when a lesson fails, nothing has
    changed. Each lesson runs in an empty folder of its own, so that what is stored comes from the lesson and the
    shipped network alone. Lesson 04 runs first, and its network becomes the shipped one, which other lessons load.

    Args:
        lessons: which lessons; without 04 the shipped network stays.
        notebooks: folder with the stored notebooks.
        networks: folder of the shipped network; by default $DIGITS_NETWORKS_DIR or the package's.
        echo: receives lines about the progress and about what changed.

    Returns:
        The names of the files that changed.

    Raises:
        DatasetError: MNIST is not available.
        LessonError: a lesson stopped.
        OSError: a file cannot be written; `git checkout` brings back those that were replaced before it.
    """
    from digits_helpers.data import load_digits

    tolerances = load_series_tolerances()
    load_digits("mnist", verbose=False)  # refuse before an hour is spent; lessons find it where this process did
    networks = networks or networks_folder()
    new: dict[Path, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="digits-refresh-", ignore_cleanup_errors=True) as temporary:
        staged = Path(temporary) / "networks"
        shutil.copytree(networks, staged)
        for lesson in sorted(lessons, key=lambda lesson: lesson.number != "04"):
            folder = Path(temporary) / lesson.number
            folder.mkdir()
            text = _run_stored(lesson, notebooks, folder, staged, tolerances, echo)
            new[notebook_path(lesson, notebooks)] = text.encode("utf-8")
            if lesson.number == "04":
                from digits_helpers.train import ship_network  # imports Keras, which takes seconds

                ship_network(folder / "artifacts", staged)
        new |= {networks / path.name: path.read_bytes() for path in sorted(staged.iterdir()) if path.is_file()}
    changed = [path for path, content in new.items() if not path.is_file() or path.read_bytes() != content]
    for path in changed:
        atomic_write(path, new[path])
    stale = [lesson.number for lesson in LESSONS if lesson not in lessons and _loads_network(lesson, notebooks)]
    if stale and any(path.parent == networks for path in changed):
        echo(f"Still with the outputs of the old network: {', '.join(stale)}. Refresh them with --lessons.")
    return [path.name for path in changed]


def _loads_network(lesson: Lesson, notebooks: Path) -> bool:
    """Tell whether a lesson's code loads the shipped network."""
    path = notebooks / lesson.notebook
    cells = read_notebook(path).cells if path.is_file() else []
    return any("network_path(" in cell.source for cell in cells if cell.cell_type == "code")


def _run_stored(
    lesson: Lesson, notebooks: Path, folder: Path, networks: Path, tolerances: Tolerances, echo: Callable[[str], None]
) -> str:
    """Run a lesson as it is stored, in an empty folder, and return the text of the notebook to store."""
    executed = folder / lesson.notebook
    with show_progress(f"Lesson {lesson.name}", echo) as on_cell:
        # No parameters, so that papermill adds no cell; "auto" finds the MNIST that `refresh` has found
        run_lesson(lesson, notebooks, executed, {}, folder, on_cell, environment={"DIGITS_NETWORKS_DIR": networks})
    stored = read_notebook(notebook_path(lesson, notebooks))
    for line in take_outputs(stored, read_notebook(executed), tolerances):
        echo(f"  {line}")
    return notebook_text(set_navigation(clean_notebook(stored), lesson))


def take_outputs(stored: NotebookNode, executed: NotebookNode, tolerances: Tolerances) -> list[str]:
    """Put the outputs of a run into the stored notebook, except where only durations and the like differ.

    Args:
        stored: the notebook; it is changed. Its cells keep their text, tags and ids.
        executed: the same notebook after a run without injected parameters.
        tolerances: say what is volatile.

    Returns:
        One line for each cell whose outputs changed, and for each that writes to standard error: a stored warning is a
        defect, but no reason to lose the run.
    """
    from nbval_tolerance import compare_cell

    lines: list[str] = []
    count = 0
    for number, (cell, run) in enumerate(zip(stored.cells, executed.cells, strict=True), start=1):
        if cell.cell_type != "code":
            continue
        found = [finding.message for finding in compare_cell(cell.outputs, run.outputs, "exact", tolerances)]
        if not found and _metadata(cell) != _metadata(run):
            found = ["metadata of the outputs"]
        if found:
            cell.outputs = run.outputs
            lines.append(f"cell {number}: {_shortened(found)}")
        count += 1
        cell.execution_count = count
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
            if output.get("name") == "stderr":
                lines.append(f"Warning: cell {number} writes to standard error: {output.text.strip()[:120]!r}")
    stored.metadata = executed.metadata
    return lines


def _metadata(cell: NotebookNode) -> list[NotebookNode]:
    return [output.get("metadata", {}) for output in cell.outputs]


def _shortened(messages: list[str]) -> str:
    """Write the first differences of a cell in one line, each once: a caption repeats its figure's alt text."""
    different = list(dict.fromkeys(message.partition(", difference")[0] for message in messages))
    more = [f"{len(different) - SHOWN} more"] if len(different) > SHOWN else []
    return "; ".join([*different[:SHOWN], *more])
