"""What `--resume` reuses: results of lessons that would come out the same again.

A lesson of an earlier run is reused if everything that it is made from is as it was, so are the lessons before it, and
the files that it has left are the very ones that it left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from digits_tools.folders import read_json, write_json
from digits_tools.lessons import PACKAGE, CellTime, Lesson, LessonTimes, networks_folder, notebook_path
from digits_tools.machine import OUTPUT_AFFECTING_PACKAGES, package_versions
from digits_tools.notebook import given_parameters, read_notebook

STATE_FILE = ".state.json"  # in the report's folder
TEXT = (".py", ".json", ".mplstyle", ".ipynb")  # git on Windows writes other line ends into these


@dataclass(frozen=True)
class LessonState:
    """A lesson that ran to its end."""

    inputs: str  # digest of everything that it was made from, see `input_digests`
    notebook: str  # SHA-256 of the executed notebook
    artifacts: dict[str, str]  # SHA-256 of all artifacts when the lesson had ended, by path below their folder
    times: LessonTimes


def input_digests(lessons: tuple[Lesson, ...], notebooks: Path, parameters: Mapping[str, Any], data: str) -> list[str]:
    """Compute, for each of some lessons that run one after the other, a SHA-256 of all that decides how it comes out.

    That is its stored notebook, the parameters that it is given, the digest of the data, the package that lessons
    import with its network, the versions of Python and of the libraries that show in outputs, and the same of every
    lesson before it.
    """
    chain = _digest_of([data, package_digest(), package_versions(OUTPUT_AFFECTING_PACKAGES)])
    digests = []
    for lesson in lessons:
        path = notebook_path(lesson, notebooks)
        given = given_parameters(read_notebook(path), parameters)
        chain = _digest_of([chain, lesson.slug, file_digest(path), given])
        digests.append(chain)
    return digests


def package_digest() -> str:
    """Compute the SHA-256 of what lessons import or load: `digits_helpers` with the network that ships in it."""
    files = {path for folder in (PACKAGE, networks_folder()) for path in folder.rglob("*") if path.is_file()}
    return _digest_of(sorted([path.name, file_digest(path)] for path in files if path.suffix != ".pyc"))


def file_digest(path: Path) -> str:
    """Compute the SHA-256 of a file; a text's is the same whatever its line ends."""
    content = path.read_bytes()
    return hashlib.sha256(content.replace(b"\r\n", b"\n") if path.suffix in TEXT else content).hexdigest()


def _digest_of(facts: Any) -> str:
    """Compute the SHA-256 of plain data."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8")).hexdigest()


def state_of(folder: Path, lesson: Lesson, inputs: str, times: LessonTimes) -> LessonState:
    """Note what a lesson that has ended leaves in a report's folder; OSError where a file cannot be read."""
    return LessonState(inputs, file_digest(folder / "notebooks" / lesson.notebook), artifact_digests(folder), times)


def artifact_digests(folder: Path) -> dict[str, str]:
    """Compute the SHA-256 of every file in a folder's artifacts, by path relative to the artifacts, with slashes."""
    artifacts = folder / "artifacts"
    files = [path for path in sorted(artifacts.rglob("*")) if path.is_file()]
    return {path.relative_to(artifacts).as_posix(): file_digest(path) for path in files}


def read_state(folder: Path) -> dict[str, LessonState]:
    """Read the saved state of a folder's lessons, by slug; empty where it is missing or damaged."""
    try:
        return {slug: _lesson_state(**facts) for slug, facts in read_json(folder / STATE_FILE).items()}
    except (KeyError, TypeError):
        return {}


def _lesson_state(inputs: str, notebook: str, artifacts: dict[str, str], times: dict[str, Any]) -> LessonState:
    cells = [CellTime(**cell) for cell in times["cells"]]
    return LessonState(inputs, notebook, dict(artifacts), LessonTimes(times["seconds"], cells))


def write_state(folder: Path, lessons: Mapping[str, LessonState]) -> None:
    """Write the folder's saved state; OSError where it cannot be written."""
    write_json(folder / STATE_FILE, {slug: asdict(state) for slug, state in lessons.items()})


def reusable_lessons(
    folder: Path, lessons: Sequence[Lesson], inputs: list[str], states: Mapping[str, LessonState]
) -> list[LessonState]:
    """Find the first lessons of a report, as many as need not run again, by their input digests and saved states."""
    reusable: list[LessonState] = []
    for lesson, digest in zip(lessons, inputs, strict=True):
        found = states.get(lesson.slug)
        notebook = folder / "notebooks" / lesson.notebook
        if not found or found.inputs != digest or not notebook.is_file() or file_digest(notebook) != found.notebook:
            break
        reusable.append(found)
    present = artifact_digests(folder)
    # A later lesson may have replaced a file of an earlier one: then the earlier one has to make it again.
    while reusable and not reusable[-1].artifacts.items() <= present.items():
        reusable.pop()
    return reusable
