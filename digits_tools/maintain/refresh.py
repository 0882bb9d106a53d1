"""Rewrite the stored outputs of the lessons, and the network that ships with them, from one real run."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from digits_helpers.errors import DigitsError
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
from digits_helpers.tolerances import load_tolerances
from digits_helpers.verify import Finding, NumberFinding, compare_outputs, place_of, stamp_sources

if TYPE_CHECKING:
    from nbformat import NotebookNode

NETWORKS = Path(__file__).resolve().parent / "networks"
JOURNAL = ".refresh-journal.json"  # in the folder of the notebooks, while stored files are being replaced
STAGED = ".{}.refresh-new"  # name of a file until it takes its place


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
    fails, they are as they were; what a kill in the middle of replacing leaves, the next start brings back (`recover`).
    Each lesson runs with an empty artifacts folder of its own: what is stored must come
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

    recover(notebooks)
    _remove_staged(notebooks, networks)
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
    replace_together({path: new[path] for path in changed}, notebooks / JOURNAL)
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
    stamp_sources(set_navigation(clean_notebook(renewed), lesson))
    changed = changes(read_notebook(notebook_path(lesson, notebooks)), renewed)
    progress.end(f"outputs of {len(changed)} cells changed" if changed else "no output changed")
    for line in changed:
        say(f"  {line}")
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


def changes(before: NotebookNode, after: NotebookNode) -> list[str]:
    """Say what differs between the outputs of two versions of a notebook, cells matched by their ids.

    Args:
        before: the stored notebook.
        after: the same notebook after a run.

    Returns:
        One line per cell whose outputs differ: numbers as old → new, figures with how far they are apart.
    """
    old = {cell.get("id"): cell.outputs for cell in before.cells if cell.cell_type == "code"}
    tolerances = load_tolerances()
    lines = []
    for cell in after.cells:
        stored = old.get(cell.get("id"), [])
        if cell.cell_type != "code" or cell.outputs == stored:
            continue
        findings = compare_outputs(stored, cell.outputs, "exact", tolerances)
        told = dict.fromkeys(_change(finding) for finding in findings)  # a caption repeats its figure's alt text
        lines.append(f"{place_of('', cell).lstrip(', ')}: {'; '.join(told) or 'other metadata'}")
    return lines


def _change(finding: Finding) -> str:
    """Tell one difference in a few words."""
    if isinstance(finding, NumberFinding):
        unit = " %" if finding.percent else ""
        return f"{finding.quantity or 'number'} {finding.stored}{unit} → {finding.new}{unit}"
    return re.sub(r"; see .*|, tolerance [^;]*", "", finding.message)


def stderr_cells(notebook: NotebookNode) -> list[str]:
    """Name the cells that wrote to standard error: a stored warning is a defect, but no reason to lose the run."""
    found = []
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                lines = output.text.strip().splitlines() or [""]
                found.append(f"cell {number} wrote to standard error: {lines[0][:120]}")
    return found


def replace_together(contents: dict[Path, bytes], journal: Path) -> None:
    """Replace files, all or none.

    All new files are written beside the old ones first, so that a full disk is noticed before the first is replaced.
    The journal then keeps the old contents until the last file is in its place. If replacing fails in the middle, they
    come back at once; after a kill, `recover` brings them back.

    Args:
        contents: bytes by path.
        journal: where the journal goes, in an existing folder.

    Raises:
        RefreshError: the files cannot be written; they are as before.
    """
    staged: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            staged[path] = _stage(path, content)
        entries = {os.path.relpath(path, journal.parent): _entry(path, contents[path]) for path in contents}
        os.replace(_stage(journal, json.dumps(entries).encode("utf-8")), journal)
        for path, temporary in staged.items():
            os.replace(temporary, path)
        journal.unlink()  # from here on the new files are the stored ones
    except BaseException as error:
        _bring_back(journal)
        if not isinstance(error, OSError):
            raise
        raise RefreshError(
            f"The stored files cannot be replaced ({error.strerror or error}): they are as before, so make room or "
            "give yourself the right to write there, and run again."
        ) from error
    finally:
        _remove_staged(*{path.parent for path in (*contents, journal)})


def _stage(path: Path, content: bytes) -> Path:
    """Write a file beside its place, and return its name there."""
    staged = path.with_name(STAGED.format(path.name))
    staged.write_bytes(content)
    return staged


def _entry(path: Path, content: bytes) -> dict[str, str | None]:
    """Note what the journal needs to bring a file back: its old bytes, if any, and how to know the new ones."""
    old = base64.b64encode(path.read_bytes()).decode("ascii") if path.is_file() else None
    return {"old": old, "new_sha256": hashlib.sha256(content).hexdigest()}


def recover(notebooks: Path = NOTEBOOKS, patience: float = 1.0) -> list[str]:
    """Bring back the stored files as they were, if a refresh was killed while it replaced them.

    Args:
        notebooks: folder with the stored notebooks.
        patience: seconds to wait before a journal counts as left behind: a refresh that lives needs it for less.

    Returns:
        The names of the files that were brought back.
    """
    journal = notebooks / JOURNAL
    if not journal.is_file():
        return []
    time.sleep(patience)
    return _bring_back(journal)


def _bring_back(journal: Path) -> list[str]:
    """Undo the replacements that a journal lists, and remove it.

    A file that is not the new one is left alone: it was not replaced yet, or somebody has changed it since.
    """
    if not journal.is_file():
        return []
    back = []
    for name, entry in json.loads(journal.read_text(encoding="utf-8")).items():
        path = journal.parent / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != entry["new_sha256"]:
            continue
        if entry["old"] is None:
            path.unlink()
        else:
            os.replace(_stage(path, base64.b64decode(entry["old"])), path)
        back.append(path.name)
    journal.unlink()
    return back


def _remove_staged(*folders: Path) -> None:
    """Remove what a kill has left of files that never took their place."""
    for folder in folders:
        for leftover in folder.glob(STAGED.format("*")):
            leftover.unlink(missing_ok=True)


def _ship(artifacts: Path, destination: Path) -> None:
    """Turn lesson 04's run into the shipped network."""
    from digits_helpers.startup import quiet_startup

    with quiet_startup():
        from digits_helpers.train import ship_network
    ship_network(artifacts, destination)
