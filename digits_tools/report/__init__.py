"""Run the lessons and make a report of them: executed notebooks, pages, and results as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits_tools.errors import InputError, WriteError
from digits_tools.folders import OutputFolder, reason, write_json
from digits_tools.lessons import LESSONS, NOTEBOOKS, Interrupted, Lesson, LessonError, LessonTimes, notebook_path
from digits_tools.parameters import PARAMETERS
from digits_tools.report.pages import INDEX, write_index, write_pages
from digits_tools.report.record import LessonRun, Report
from digits_tools.report.results import EXPECTED, collect_results, headline_text, load_expected, write_expected
from digits_tools.report.verdict import as_table
from digits_tools.run import (
    STATE_FILE,
    LessonState,
    end_kernels,
    input_digests,
    read_state,
    reusable_lessons,
    run_lesson,
    show_progress,
    state_of,
    write_state,
)

__all__ = ["Report", "as_table", "headline_text", "run_report", "write_expected"]

OWNED = [  # what a report consists of; artifacts belong to the lessons
    *(INDEX, "results.json", STATE_FILE, "artifacts/"),
    *(lesson.page for lesson in LESSONS),
    *(f"notebooks/{lesson.notebook}" for lesson in LESSONS),
]


@dataclass
class _Run:
    """What running the lessons of a report needs besides the report."""

    report: Report
    notebooks: Path
    inputs: list[str]  # for each lesson the digest of what it is made from
    states: dict[str, LessonState]  # of lessons that are complete, by slug
    cell_timeout: float | None
    echo: Callable[[str], None]
    quiet: bool


def run_report(
    lessons: tuple[Lesson, ...] = LESSONS,
    output: Path = Path("report"),
    notebooks: Path = NOTEBOOKS,
    parameters: Mapping[str, Any] | None = None,
    resume: bool = False,
    check: Path | None = None,
    cell_timeout: float | None = None,
    echo: Callable[[str], None] = print,
    quiet: bool = False,
) -> Report:
    """Run lessons in order, each in a fresh kernel, and make a report of them.

    Whatever is wrong with what was given is found before anything is written or run. A lesson that fails ends the run,
    because later ones build on it; the report then says so.

    Args:
        lessons: which lessons, in order.
        output: the report's folder; made if missing, replaced if it is an older report.
        notebooks: folder with the stored notebooks.
        parameters: dataset, seed, epochs and batch_size, as `digits_tools.parameters` allows them.
        resume: resume the report in the folder: lessons that it holds complete, made from the same inputs, stay.
        check: file with the expected results, which the report compares its own with.
        cell_timeout: minutes that a cell may take; None for no limit.
        echo: receives lines for people.
        quiet: show no progress bar.

    Returns:
        The report, whether complete or not.

    Raises:
        InputError: the folder holds something else, is in use or cannot be written; the file with the expected results
            cannot be used or do not fit the lessons and data.
        DatasetError: the data are not available.
        NotebookError: a notebook is missing or damaged.
        WriteError: the report's pages or results cannot be written.
        Interrupted: the run was ended from outside; what was done is kept.
    """
    given = {name: parameter.default for name, parameter in PARAMETERS.items()} | dict(parameters or {})
    for lesson in lessons:
        notebook_path(lesson, notebooks)
    expected = load_expected(check) if check else None
    if expected and all(lesson.number != "05" for lesson in lessons):
        raise InputError("--check compares what lesson 05 measures: add it to --lessons.")
    folder = OutputFolder(output, "report", OWNED)
    folder.check()
    report = _new_report(folder.path, lessons, given, expected, echo)
    inputs = input_digests(lessons, notebooks, report.parameters, report.dataset["sha256"]["all"])
    with folder.locked():
        run = _Run(report, notebooks, inputs, read_state(folder.path), cell_timeout, echo, quiet)
        _prepare(run, folder, resume)
        _run_lessons(run)
    return report


def _new_report(
    folder: Path,
    lessons: tuple[Lesson, ...],
    given: dict[str, Any],
    expected: dict[str, Any] | None,
    echo: Callable[[str], None],
) -> Report:
    """Find the data, and make the record of a report of which nothing has run yet."""
    from digits_helpers.data import load_digits

    digits = load_digits(given["dataset"], verbose=False)
    if expected and expected["dataset"]["name"] != digits.name:
        raise InputError(
            f"The expected results are for {expected['dataset']['title']}: choose the file for {digits.title}."
        )
    echo(f"Data: {digits}. {digits.notice or ''}".rstrip())
    shipped = EXPECTED / f"{digits.name}.json"
    # Lesson 05 must judge the network of this very report where there is one.
    network = "own" if any(lesson.number == "04" for lesson in lessons) else "shipped"
    return Report(
        folder=folder,
        parameters={**given, "dataset": digits.name, "network": network},
        dataset={"name": digits.name, "title": digits.title, "sha256": dict(digits.digests)},
        notice=digits.notice,
        lessons=[LessonRun(lesson) for lesson in lessons],
        expected=expected or (load_expected(shipped) if shipped.is_file() else None),
        checked=expected is not None,
    )


def _prepare(run: _Run, folder: OutputFolder, resume: bool) -> None:
    """Make the folder ready: with the lessons that are reused, if the run goes on with an earlier one, else empty."""
    end_kernels(folder.path)
    lessons = [record.lesson for record in run.report.lessons]
    reused = reusable_lessons(folder.path, lessons, run.inputs, run.states) if resume else []
    if resume and len(reused) < len(lessons):
        lesson, inputs = lessons[len(reused)], run.inputs[len(reused)]
        why = "the folder holds no complete run of it"
        if lesson.slug in run.states and run.states[lesson.slug].inputs != inputs:
            why = "its notebook, parameters or data, the package or a library has changed since"
        run.echo(f"Lesson {lesson.name} cannot be reused, nor those after it: {why}.")
    for record, state in zip(run.report.lessons, reused, strict=False):
        record.status, record.reused = "complete", True
        record.seconds, record.cells = state.times.seconds, state.times.cells
    files = {f"notebooks/{lesson.notebook}" for lesson in lessons[: len(reused)]}
    files |= {f"artifacts/{name}" for name in (reused[-1].artifacts if reused else ())}
    folder.prepare(files | {STATE_FILE} if reused else ())
    run.states = {lesson.slug: state for lesson, state in zip(lessons, reused, strict=False)}


def _run_lessons(run: _Run) -> None:
    """Run the lessons that are not complete, then write the pages; the first page is always written."""
    try:
        write_index(run.report, [], [])  # of a run that is killed, it must tell the truth
        for record, inputs in zip(run.report.lessons, run.inputs, strict=True):
            if record.reused:
                run.echo(f"Lesson {record.lesson.name}: reused from an earlier run")
            elif not _run_one(run, record, inputs):
                break
    except KeyboardInterrupt as error:
        raise Interrupted("The run was interrupted.") from error
    finally:
        run.report.results = collect_results(run.report)
        _write(run.report)


def _run_one(run: _Run, record: LessonRun, inputs: str) -> bool:
    """Run one lesson and note how it went; return whether it came to its end."""
    folder, parameters, lesson = run.report.folder, run.report.parameters, record.lesson
    record.status = "failed"  # until it has come to its end
    times = LessonTimes(0.0)
    try:
        with show_progress(f"Lesson {lesson.name}", run.echo, run.quiet) as on_cell:
            destination = run.report.notebook(lesson)
            times = run_lesson(lesson, run.notebooks, destination, parameters, folder, on_cell, run.cell_timeout)
        run.states[lesson.slug] = state_of(folder, lesson, inputs, times)
        write_state(folder, run.states)
        record.status = "complete"
    except LessonError as error:
        times, record.error = error.times, str(error)
        if isinstance(error, Interrupted):
            raise
    except OSError as error:
        record.error = (
            f"Lesson {lesson.name} came to its end, but its results cannot be written ({reason(error)}): free disk "
            f"space in {str(folder)!r} and run again."
        )
    finally:
        record.seconds, record.cells = times.seconds, times.cells
    return record.status == "complete"


def _write(report: Report) -> None:
    """Write results and pages, or say that it cannot be done; but if a lesson has failed, that is what has to be said."""
    try:
        write_json(report.folder / "results.json", report.results)
        write_pages(report)
    except OSError as error:
        if not report.failure:
            raise WriteError(
                f"The pages and results in {str(report.folder)!r} cannot be written ({reason(error)}): free disk space "
                "there and run again."
            ) from error
