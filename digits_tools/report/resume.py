"""What a report remembers of its lessons, so that a run that was cut short can go on where it was (`report --resume`).

A lesson of an earlier run is kept only if it would come out the same again: everything that it is made from is as it
was, so are the lessons before it, and the files that it has left are the very ones that it left.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from digits_helpers.files import write_json
from digits_helpers.parameters import BACKUP_FILE
from digits_helpers.series import CellTime, Lesson, LessonTimes, given_parameters, notebook_path, read_notebook

PACKAGE = Path(__file__).resolve().parent
STATE_FILE = ".state.json"  # in the report's folder


@dataclass(frozen=True)
class LessonState:
    """A lesson that ran to its end.

    Attributes:
        inputs: digest of everything that it was made from, see `input_digests`.
        notebook: SHA-256 of the executed notebook.
        artifacts: SHA-256 of every file that was in the artifacts folder when the lesson had ended, by relative path.
        times: how long the lesson and its cells took.
    """

    inputs: str
    notebook: str
    artifacts: dict[str, str]
    times: LessonTimes


@dataclass
class State:
    """What a report's folder remembers.

    Attributes:
        parameters: what the lessons ran with.
        lessons: the last complete run of each lesson, by slug. Its files can be gone: its times are still of use.
    """

    parameters: dict[str, Any] = field(default_factory=dict)
    lessons: dict[str, LessonState] = field(default_factory=dict)


def read_state(folder: Path) -> State:
    """Read what a report's folder remembers; nothing where there is no state or a damaged one."""
    try:
        content = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
        lessons = {slug: _lesson_state(**lesson) for slug, lesson in content["lessons"].items()}
        return State(dict(content["parameters"]), lessons)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return State()


def _lesson_state(inputs: str, notebook: str, artifacts: dict[str, str], times: dict[str, Any]) -> LessonState:
    """Make a lesson's state of what JSON has of it."""
    cells = [CellTime(**cell) for cell in times["cells"]]
    return LessonState(inputs, notebook, dict(artifacts), LessonTimes(times["seconds"], cells))


def write_state(folder: Path, state: State) -> None:
    """Write what a report's folder shall remember.

    Raises:
        OSError: the folder cannot be written.
    """
    write_json(folder / STATE_FILE, asdict(state))


def state_of(folder: Path, lesson: Lesson, inputs: str, times: LessonTimes) -> LessonState:
    """Note what a lesson that has ended leaves in a report's folder.

    Args:
        folder: the report's folder.
        lesson: the lesson.
        inputs: digest of everything that it was made from.
        times: how long it took.

    Returns:
        Its state.

    Raises:
        OSError: a file cannot be read.
    """
    return LessonState(inputs, _digest(folder / "notebooks" / lesson.notebook), artifact_digests(folder), times)


def artifact_digests(folder: Path) -> dict[str, str]:
    """Compute SHA-256 of every file in a report's artifacts, except the backup of a training.

    Args:
        folder: the report's folder.

    Returns:
        Digest by path relative to the artifacts, with slashes.
    """
    artifacts = folder / "artifacts"
    files = [path for path in sorted(artifacts.rglob("*")) if path.is_file() and path.name != BACKUP_FILE]
    return {path.relative_to(artifacts).as_posix(): _digest(path) for path in files}


def input_digests(lessons: tuple[Lesson, ...], notebooks: Path, parameters: dict[str, Any], data: str) -> list[str]:
    """Compute, for each lesson of a report, one digest of everything that decides how it comes out.

    That is its stored notebook, the parameters that it is given, the data, this package with its network, the versions
    of Python and of the libraries that show in outputs, and the same of every lesson before it in the report.

    Args:
        lessons: the lessons of the report, in order.
        notebooks: folder with the stored notebooks.
        parameters: parameters of the report, as used.
        data: digest of the data set.

    Returns:
        A SHA-256 per lesson.
    """
    from digits_helpers.doctor import SHOWING, installed_version

    versions = {name: installed_version(name) for name in SHOWING}
    chain = _digest_of([data, _package_digests(), platform.python_version(), versions])
    digests = []
    for lesson in lessons:
        path = notebook_path(lesson, notebooks)
        given = given_parameters(read_notebook(path), parameters)
        chain = _digest_of([chain, lesson.slug, _digest(path), given])
        digests.append(chain)
    return digests


def _package_digests() -> dict[str, str]:
    """Compute SHA-256 of the files of this package that lessons can import or load."""
    networks = Path(os.environ.get("DIGITS_NETWORKS_DIR") or PACKAGE / "networks")
    files = [*PACKAGE.glob("*.py"), *(path for path in networks.glob("*") if path.is_file())]
    return {path.name: _digest(path) for path in sorted(files)}


def kept_lessons(folder: Path, lessons: tuple[Lesson, ...], inputs: list[str], state: State) -> list[LessonState]:
    """Find the lessons of an earlier run that need not run again.

    Args:
        folder: the report's folder.
        lessons: the lessons of the report, in order.
        inputs: their digests, from `input_digests`.
        state: what the folder remembers.

    Returns:
        The states of the first lessons of the report, as many as can be kept.
    """
    kept: list[LessonState] = []
    for lesson, digest in zip(lessons, inputs, strict=True):
        found = state.lessons.get(lesson.slug)
        notebook = folder / "notebooks" / lesson.notebook
        if found is None or found.inputs != digest or not notebook.is_file() or _digest(notebook) != found.notebook:
            break
        kept.append(found)
    present = artifact_digests(folder)
    # A later lesson may have replaced a file of an earlier one: then the earlier one has to make it again.
    while kept and not kept[-1].artifacts.items() <= present.items():
        kept.pop()
    return kept


def _digest(path: Path) -> str:
    """Compute the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of(facts: list[Any]) -> str:
    """Compute the SHA-256 of plain data."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8")).hexdigest()
