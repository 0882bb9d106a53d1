"""Rewrite the stored outputs of the lessons, and the network that ships with them, from one real run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from digits_helpers.errors import DigitsError
from digits_helpers.files import write_whole
from digits_helpers.navigation import set_navigation
from digits_helpers.progress import Progress
from digits_helpers.series import (
    LESSONS,
    NOTEBOOKS,
    Lesson,
    clean_notebook,
    kernel_environment,
    notebook_path,
    notebook_text,
    read_notebook,
    run_lesson,
)

if TYPE_CHECKING:
    from nbformat import NotebookNode

NETWORKS = Path(__file__).resolve().parent / "networks"


class RefreshError(DigitsError):
    """The stored outputs cannot be rewritten."""


def refresh(
    lessons: tuple[Lesson, ...] = LESSONS,
    notebooks: Path = NOTEBOOKS,
    networks: Path = NETWORKS,
    say: Callable[[str], None] = print,
    ship: Callable[[Path, Path], None] | None = None,
) -> list[str]:
    """Run lessons on MNIST with the parameters stored in them, and store their outputs.

    Everything happens in a temporary folder; stored files are replaced at the end, together. Until then, and whatever
    fails, they are as they were. Each lesson runs with an empty artifacts folder of its own: what is stored must come
    from the lesson and the shipped network, and not from what lies about on this machine. Lesson 04's network becomes
    the shipped one before the lessons after it run.

    Args:
        lessons: which lessons; without 04 the shipped network stays.
        notebooks: folder with the stored notebooks.
        networks: folder of the shipped network.
        say: receives lines for people.
        ship: turns lesson 04's artifacts folder into network files in another; by default `train.ship_network`.

    Returns:
        The names of the files that changed.

    Raises:
        DatasetError: MNIST cannot be had.
        LessonError: a lesson stopped.
        RefreshError: the files cannot be replaced.
    """
    from digits_helpers.data import load_digits

    load_digits("mnist")  # refuse before an hour is spent; the kernels find it where this process did
    with tempfile.TemporaryDirectory(prefix="digits-refresh-", ignore_cleanup_errors=True) as temporary:
        work = Path(temporary)
        shipped = work / "networks"
        if networks.is_dir():
            shutil.copytree(networks, shipped)
        new: dict[Path, bytes] = {}
        for lesson in lessons:
            path = notebook_path(lesson, notebooks)
            new[path] = _run_stored(lesson, notebooks, work / lesson.number, shipped, say).encode("utf-8")
            if lesson.number == "04":
                (ship or _ship)(work / lesson.number / "artifacts", shipped)
                new |= {networks / path.name: path.read_bytes() for path in sorted(shipped.iterdir())}
    changed = [path for path, content in new.items() if not path.is_file() or path.read_bytes() != content]
    replace_together({path: new[path] for path in changed})
    return [path.name for path in changed]


def _run_stored(lesson: Lesson, notebooks: Path, folder: Path, networks: Path, say: Callable[[str], None]) -> str:
    """Run a lesson as it is stored, in a new folder, and return the text of the notebook to store."""
    stored = read_notebook(notebook_path(lesson, notebooks))
    folder.mkdir()
    progress = Progress()
    progress.start(f"Lesson {lesson.name}")
    try:
        # No parameters, so that papermill adds no cell: "auto" finds the MNIST that `refresh` has looked for already
        with kernel_environment(DIGITS_ARTIFACTS_DIR=folder / "artifacts", DIGITS_NETWORKS_DIR=networks):
            run_lesson(lesson, notebooks, folder / lesson.notebook, {}, progress.enter)
    except DigitsError:
        progress.end("failed, so nothing is stored")
        raise
    renewed = with_outputs(stored, read_notebook(folder / lesson.notebook))
    set_navigation(clean_notebook(renewed), lesson)
    before = read_notebook(notebook_path(lesson, notebooks))
    progress.end(changes(before, renewed))
    for warning in stderr_cells(renewed):
        say(f"  Warning: {warning}")
    return notebook_text(renewed)


def with_outputs(stored: NotebookNode, executed: NotebookNode) -> NotebookNode:
    """Put the outputs of a run into the stored notebook, whose cells keep their text, tags and ids.

    Args:
        stored: the notebook; it is changed.
        executed: the same notebook after a run without injected parameters.

    Returns:
        `stored`.
    """
    for cell, run in zip(stored.cells, executed.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = run.outputs, run.execution_count
    stored.metadata = executed.metadata
    return stored


def changes(before: NotebookNode, after: NotebookNode) -> str:
    """Say how many outputs differ between two versions of a notebook, cells matched by their ids."""
    old = {cell.get("id"): cell.outputs for cell in before.cells if cell.cell_type == "code"}
    new = {cell.get("id"): cell.outputs for cell in after.cells if cell.cell_type == "code"}
    changed = sum(old.get(name) != outputs for name, outputs in new.items())
    return f"outputs of {changed} of {len(new)} cells changed" if changed else "no output changed"


def stderr_cells(notebook: NotebookNode) -> list[str]:
    """Name the cells that wrote to standard error: a stored warning is a defect, but no reason to lose the run."""
    found = []
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                lines = output.text.strip().splitlines() or [""]
                found.append(f"cell {number} wrote to standard error: {lines[0][:120]}")
    return found


def replace_together(contents: dict[Path, bytes]) -> None:
    """Replace files, all or none as far as the file system allows.

    All new files are written beside the old ones first, so that a full disk is noticed before the first is replaced.
    If replacing fails in the middle, the old contents come back.

    Args:
        contents: bytes by path.

    Raises:
        RefreshError: the files cannot be written; they are as before.
    """
    before = {path: path.read_bytes() if path.is_file() else None for path in contents}
    staged: dict[Path, Path] = {}
    replaced: list[Path] = []
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            staged[path] = path.with_name(f".{path.name}.new")
            staged[path].write_bytes(content)
        for path, temporary in staged.items():
            os.replace(temporary, path)
            replaced.append(path)
    except BaseException as error:
        for path in replaced:
            old = before[path]
            path.unlink() if old is None else write_whole(path, old)
        if not isinstance(error, OSError):
            raise
        raise RefreshError(
            f"The stored files cannot be replaced ({error.strerror or error}): they are as before, so make room or "
            "give yourself the right to write there, and run again."
        ) from error
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def _ship(artifacts: Path, destination: Path) -> None:
    """Turn lesson 04's run into the shipped network."""
    from digits_helpers.startup import quiet_startup

    with quiet_startup():
        from digits_helpers.train import ship_network
    ship_network(artifacts, destination)
