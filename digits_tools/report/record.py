"""What a report is: which lessons ran, with what, and how it went."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits_tools.lessons import CellTime, Lesson
from digits_tools.machine import git_facts, machine_facts, package_versions
from digits_tools.notebook import load_series_tolerances

if TYPE_CHECKING:
    from nbval_tolerance import Tolerances


@dataclass
class LessonRun:
    """How one lesson of a report went; `schemas/results.schema.json` says what each field means."""

    lesson: Lesson
    status: str = "not run"
    seconds: float | None = None
    error: str | None = None
    cells: list[CellTime] = field(default_factory=list)
    reused: bool = False


def find_origin() -> dict[str, Any]:
    """Find what a report is made with."""
    return {"versions": package_versions(), "machine": machine_facts(), "git": git_facts()}


@dataclass
class Report:
    """A report: what was run, with what, and how it went.

    Attributes:
        folder: where it is, absolute.
        parameters: parameters as the lessons received them: "auto" is resolved, and `network` is there.
        dataset: name, title and, under "sha256", digests of the data set.
        notice: what to say when it is not MNIST.
        lessons: one record per lesson of the report.
        expected: results that this report is compared with, as `results.load_expected` returns them.
        checked: whether the user gave them; else they are those that ship.
        tolerances: how far results may lie from the expected ones.
        origin: versions, machine and commit when the report began, which may take an hour.
        results: content of results.json; empty until the run has ended.
    """

    folder: Path
    parameters: dict[str, Any]
    dataset: dict[str, Any]
    notice: str | None
    lessons: list[LessonRun]
    expected: dict[str, Any] | None = None
    checked: bool = False
    tolerances: Tolerances = field(default_factory=load_series_tolerances)
    origin: dict[str, Any] = field(default_factory=find_origin)
    results: dict[str, Any] = field(default_factory=dict)

    @property
    def index(self) -> Path:
        """The report's first page."""
        return self.folder / "index.html"

    @property
    def failure(self) -> str | None:
        """One sentence that says which lesson stopped where, or None."""
        return next((lesson.error for lesson in self.lessons if lesson.error), None)

    @property
    def partial_notebook(self) -> Path | None:
        """The partly executed notebook of the lesson that failed, or None."""
        failed = (self.notebook(run.lesson) for run in self.lessons if run.error)
        return next((path for path in failed if path.is_file()), None)

    @property
    def complete(self) -> bool:
        """Whether every lesson ran to its end."""
        return all(lesson.status == "complete" for lesson in self.lessons)

    @property
    def seconds(self) -> float:
        """Wall time of all lessons together; a lesson that was reused counts with the time of its own run."""
        return sum(lesson.seconds or 0.0 for lesson in self.lessons)

    @property
    def verdict(self) -> list[dict[str, Any]]:
        """Rows of `verdict.verdict_rows`."""
        return self.results.get("verdict", [])

    @property
    def drifted(self) -> list[str]:
        """Quantities that are not as they should be."""
        return [row["quantity"] for row in self.verdict if row["ok"] is False]

    def notebook(self, lesson: Lesson) -> Path:
        """Where the executed notebook of a lesson is, or would be."""
        return self.folder / "notebooks" / lesson.notebook
