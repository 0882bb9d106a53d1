"""Run the lessons and make a report of them: executed notebooks, pages, and results as JSON."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits_helpers.errors import DigitsError
from digits_helpers.files import reason, write_json, write_whole
from digits_helpers.pages import write_index, write_page
from digits_helpers.parameters import BACKUP_FILE, PARAMETERS, check_value
from digits_helpers.progress import Progress
from digits_helpers.results import collect_results, load_expected, read_headline
from digits_helpers.resume import (
    STATE_FILE,
    State,
    input_digests,
    kept_lessons,
    read_state,
    state_of,
    write_state,
)
from digits_helpers.series import (
    LESSONS,
    NOTEBOOKS,
    CellTime,
    Interrupted,
    Lesson,
    LessonError,
    LessonTimes,
    end_kernel,
    kernel_environment,
    notebook_path,
    resolve_data,
    run_lesson,
)

if TYPE_CHECKING:
    from digits_helpers.data import Digits

MARKER = ".digits-report"
LOCK = ".digits-report.lock"
MARKER_TEXT = "`digits report` made this folder and replaces its content when it runs again.\n"
CELL_TIMEOUT = 60.0  # minutes: the longest cell trains for about ten on two cores
# What a report consists of, with the traces of a run that was killed. `artifacts` belongs to the lessons.
REPORT_FILES = re.compile(
    r"\.digits-report|(index|\d\d_\w+)\.html|results\.json|artifacts|notebooks|notebooks/\d\d_\w+\.ipynb"
    r"|\.(index|\d\d_\w+)\.html-\w+|\.results\.json-\w+|\.\.digits-report-\w+"
    r"|\.digits-report\.lock|\.state\.json|\.\.state\.json-\w+"
    r"|notebooks/(\.\d\d_\w+\.ipynb-\w+|\.kernel\.json|\.\.kernel\.json-\w+)"
    r"|(notebooks/)?(\.ipynb_checkpoints|\.DS_Store)"
)


class OutputError(DigitsError):
    """The report's folder cannot be used."""


class WriteError(DigitsError):
    """The report ran, as far as it says, but what it has to say cannot be written."""


@dataclass
class LessonRun:
    """How one lesson of a report went.

    Attributes:
        number: "01" and so on.
        slug: name of the notebook and page, without ending.
        title: the lesson's title.
        status: "not run", "complete" or "failed".
        seconds: how long it took, in the run that executed it; None when it did not run.
        error: one sentence, when it failed.
        cells: how long its cells took, in the order of execution.
        kept: whether this is the result of an earlier run, which was resumed.
    """

    number: str
    slug: str
    title: str
    status: str = "not run"
    seconds: float | None = None
    error: str | None = None
    cells: list[CellTime] = field(default_factory=list)
    kept: bool = False


@dataclass
class Report:
    """A report: what was run, with what, and how it went.

    Attributes:
        folder: where it is.
        dataset: name of the data set that was used, "mnist" or "embedded".
        dataset_title: its name in a sentence.
        notice: what to say when it is not MNIST, as Markdown.
        parameters: parameters of the lessons, as used.
        lessons: one record per lesson of the report.
        headline: test accuracy with interval, from lesson 05; None when it did not get there.
        given: parameters as the user gave them, before "auto" was resolved.
        digests: SHA-256 of each array in IDX form, and under "all" that of the whole data set.
        expected: file with the results that this report is compared with, None for those that belong to the data set.
    """

    folder: Path
    dataset: str
    dataset_title: str
    notice: str | None
    parameters: dict[str, Any]
    lessons: list[LessonRun]
    headline: dict[str, Any] | None = None
    given: dict[str, Any] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    expected: Path | None = None

    @property
    def index(self) -> Path:
        """The report's first page."""
        return self.folder / "index.html"

    @property
    def failure(self) -> str | None:
        """One sentence that says which lesson stopped where, or None."""
        return next((lesson.error for lesson in self.lessons if lesson.error), None)

    @property
    def kept_notebook(self) -> Path | None:
        """The partly executed notebook of the lesson that failed, or None."""
        failed = (self.folder / "notebooks" / f"{lesson.slug}.ipynb" for lesson in self.lessons if lesson.error)
        return next((path for path in failed if path.is_file()), None)

    @property
    def complete(self) -> bool:
        """Whether every lesson ran to its end."""
        return all(lesson.status == "complete" for lesson in self.lessons)


@dataclass
class _Run:
    """What running the lessons of a report needs besides the report.

    Attributes:
        report: the report.
        lessons: its lessons, in order.
        notebooks: folder with the stored notebooks.
        inputs: for each lesson the digest of what it is made from.
        state: what the folder remembers.
        cell_timeout: minutes that a cell may take.
        progress: shows how far the run is.
    """

    report: Report
    lessons: tuple[Lesson, ...]
    notebooks: Path
    inputs: list[str]
    state: State
    cell_timeout: float
    progress: Progress


def run_report(
    lessons: tuple[Lesson, ...] = LESSONS,
    output: Path = Path("report"),
    notebooks: Path = NOTEBOOKS,
    dataset: str = "auto",
    seed: int = 0,
    epochs: int = 10,
    batch_size: int = 128,
    say: Callable[[str], None] = print,
    resume: bool = False,
    check: Path | None = None,
    cell_timeout: float = CELL_TIMEOUT,
    quiet: bool = False,
) -> Report:
    """Run lessons in order, each in a fresh kernel, and make a report of them.

    Everything that can be wrong with what was given is found before anything is written or run. The data set is
    resolved once, so that all lessons use the same one. A lesson that fails ends the run, because later ones build on
    it; the report then says so.

    Args:
        lessons: which lessons, in order.
        output: the report's folder; made if missing, replaced if it is an older report.
        notebooks: folder with the stored notebooks.
        dataset: "auto", "mnist" or "embedded".
        seed: start of every random sequence.
        epochs: passes over the training images.
        batch_size: images per training step.
        say: receives lines for people.
        resume: go on with the report in the folder: lessons that it holds complete, made from the same inputs, stay.
        check: file with the expected results, which the report compares its own with.
        cell_timeout: minutes that a cell may take.
        quiet: show no progress.

    Returns:
        The report, whether complete or not.

    Raises:
        ParameterError: a parameter is not allowed.
        ExpectedError: the file with the expected results cannot be used.
        OutputError: the folder holds something else, is in use or cannot be written.
        DatasetError: the data cannot be had.
        LessonError: a notebook is missing or damaged.
        WriteError: the report's first page or results cannot be written.
        Interrupted: the run was ended from outside; what was done is kept.
    """
    given = {"dataset": dataset, "seed": seed, "epochs": epochs, "batch_size": batch_size}
    for name, value in given.items():
        check_value(name, value)
    for lesson in lessons:
        notebook_path(lesson, notebooks)
    if check:
        load_expected(check)
    output = check_output(output)
    digits = resolve_data(dataset, [batch_size], say)
    report = _new_report(output, lessons, given, digits, check)
    del digits  # MNIST need not stay in memory while the lessons run
    inputs = input_digests(lessons, notebooks, report.parameters, report.digests["all"])
    with folder_lock(output):
        run = _Run(report, lessons, notebooks, inputs, read_state(output), cell_timeout, Progress(quiet=quiet))
        _prepare(run, resume, say)
        _run_lessons(run)
    return report


def _new_report(
    output: Path, lessons: tuple[Lesson, ...], given: dict[str, Any], digits: Digits, check: Path | None
) -> Report:
    """Make the record of a report of which nothing has run yet."""
    # Lesson 05 must judge the network of this very report where there is one, and not find out by itself.
    trains = any(lesson.number == "04" for lesson in lessons)
    return Report(
        folder=output,
        dataset=digits.name,
        dataset_title=digits.title,
        notice=digits.notice,
        parameters={**given, "dataset": digits.name, "network": "own" if trains else "auto"},
        lessons=[LessonRun(lesson.number, lesson.slug, lesson.title) for lesson in lessons],
        given=given,
        digests=digits.digests,
        expected=check,
    )


def _prepare(run: _Run, resume: bool, say: Callable[[str], None]) -> None:
    """Make the folder ready: with the lessons that stay, if the run goes on with an earlier one, else empty."""
    report, state = run.report, run.state
    end_kernel(report.folder / "notebooks")
    kept = kept_lessons(report.folder, run.lessons, run.inputs, state) if resume else []
    stays = {f"notebooks/{lesson.notebook}" for lesson in run.lessons[: len(kept)]}
    stays |= {f"artifacts/{name}" for name in (kept[-1].artifacts if kept else ())}
    backup = report.folder / "artifacts" / BACKUP_FILE
    if resume and backup.is_file():
        stays.add(f"artifacts/{BACKUP_FILE}")
    if resume:
        _say_what_runs_again(run, bool(stays), say)
    for record, found in zip(report.lessons, kept, strict=False):
        record.status, record.kept = "complete", True
        record.seconds, record.cells = found.times.seconds, found.times.cells
    prepare_output(report.folder, frozenset(stays))
    to_run = run.lessons[len(kept) :]
    run.progress.expect(expected_times(to_run, state, report.parameters))
    if not _same_work(state.parameters, report.parameters):  # what else the folder remembers took another time
        run.state = State(report.parameters, dict(zip([lesson.slug for lesson in run.lessons], kept, strict=False)))


def _say_what_runs_again(run: _Run, resumes: bool, say: Callable[[str], None]) -> None:
    """Tell who wants to go on with a report what stands in the way of it."""
    earlier = run.state.lessons
    pairs = zip(run.lessons, run.inputs, strict=True)
    changed = [lesson for lesson, inputs in pairs if lesson.slug in earlier and earlier[lesson.slug].inputs != inputs]
    if changed:
        say(
            f"Lesson {changed[0].name} cannot be kept: its notebook, parameters or data, the package or a library has "
            "changed since."
        )
    elif not resumes:
        say(f"There is nothing to resume in {str(run.report.folder)!r}: the report starts at its beginning.")


def expected_times(lessons: tuple[Lesson, ...], state: State, parameters: dict[str, Any]) -> dict[str, LessonTimes]:
    """Tell how long lessons should take: as in an earlier run of the same size, else as measured for the series.

    Args:
        lessons: the lessons that will run.
        state: what the report's folder remembers.
        parameters: what they will run with.

    Returns:
        Times by "Lesson" and name; empty when nothing is known of one of them.
    """
    known: dict[str, LessonTimes] = {}
    if _same_work(parameters, {name: PARAMETERS[name].default for name in parameters} | {"dataset": "mnist"}):
        known = {lesson.slug: LessonTimes(60.0 * lesson.running) for lesson in lessons}
    if _same_work(parameters, state.parameters):
        known |= {slug: found.times for slug, found in state.lessons.items()}
    complete = all(lesson.slug in known for lesson in lessons)
    return {f"Lesson {lesson.name}": known[lesson.slug] for lesson in lessons} if complete else {}


def _same_work(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two sets of parameters make the lessons take the same time."""
    return all(one.get(name) == other.get(name) for name in ("dataset", "epochs", "batch_size"))


def _run_lessons(run: _Run) -> None:
    """Run the lessons and write pages as they end; whatever happens, the first page tells."""
    report = run.report
    try:
        _write_summary(report)  # a run that is killed leaves a first page that does not claim to be complete
        with kernel_environment(DIGITS_ARTIFACTS_DIR=report.folder / "artifacts"):
            for lesson, record, inputs in zip(run.lessons, report.lessons, run.inputs, strict=True):
                if record.kept:
                    run.progress.keep(f"Lesson {lesson.name}")
                else:
                    _run_one(run, lesson, record)
                _store_one(run, lesson, record, inputs)
                if record.status != "complete":
                    break
    except KeyboardInterrupt as error:
        raise Interrupted("The run was interrupted.") from error
    finally:
        _write_summary(report)


def _run_one(run: _Run, lesson: Lesson, record: LessonRun) -> None:
    """Run one lesson and note how it went."""
    destination = run.report.folder / "notebooks" / lesson.notebook
    run.progress.start(f"Lesson {lesson.name}")
    record.status = "failed"  # until it has come to its end
    times: LessonTimes | None = None
    try:
        parameters, enter = run.report.parameters, run.progress.enter
        times = run_lesson(lesson, run.notebooks, destination, parameters, enter, run.cell_timeout)
        record.status = "complete"
    except (LessonError, Interrupted) as error:
        times, record.error = error.times, str(error)
        if isinstance(error, Interrupted):
            raise
    finally:
        if times:
            record.seconds, record.cells = times.seconds, times.cells
        run.progress.end(record.status)


def _store_one(run: _Run, lesson: Lesson, record: LessonRun, inputs: str) -> None:
    """Remember a lesson that is complete, and write its page and what the report says so far."""
    report = run.report
    notebook = report.folder / "notebooks" / lesson.notebook
    try:
        if record.status == "complete" and not record.kept:
            times = LessonTimes(record.seconds or 0.0, record.cells)
            run.state.lessons[lesson.slug] = state_of(report.folder, lesson, inputs, times)
            write_state(report.folder, run.state)
        if notebook.is_file():
            write_page(lesson, notebook, report)
        write_index(report, collect_results(report))
    except OSError as error:
        record.status = "failed"
        record.error = record.error or (
            f"Lesson {lesson.name} came to its end, but its results cannot be written ({reason(error)}): make room in "
            f"{str(report.folder)!r} and run again."
        )


def _write_summary(report: Report) -> None:
    """Write the first page and the results as they are by now."""
    report.headline = read_headline(report.folder / "artifacts") if _ran(report, "05") else None
    try:
        results = collect_results(report)
        write_index(report, results)
        write_json(report.folder / "results.json", results)
    except OSError as error:
        if not report.failure:  # else that is what has to be said
            raise WriteError(
                f"The first page and the results in {str(report.folder)!r} cannot be written ({reason(error)}): make "
                "room there and run again."
            ) from error


def _ran(report: Report, number: str) -> bool:
    """Tell whether a lesson of the report ran to its end."""
    return any(lesson.number == number and lesson.status == "complete" for lesson in report.lessons)


# --- The folder ---


def check_output(output: Path) -> Path:
    """Check, without changing anything, that a report may be written to a folder.

    Args:
        output: the folder, which need not exist.

    Returns:
        Its absolute path.

    Raises:
        OutputError: there is a file, or a folder with something that is no report, or it cannot be written.
    """
    output = output.expanduser().absolute()
    advice = "choose another folder with --output, or move what is there."
    if output.exists() and not output.is_dir():
        raise OutputError(f"The output {str(output)!r} is a file, but a report needs a folder: {advice}")
    try:
        inside = [path.relative_to(output).as_posix() for path in _visible(output)]
        strangers = [name for name in inside if not REPORT_FILES.fullmatch(name)]
        if strangers or (set(inside) - {LOCK} and MARKER not in inside):
            raise OutputError(
                f"The output folder {str(output)!r} holds something that is no report "
                f"({(strangers or inside)[0]!r}): {advice}"
            )
        nearest = next(path for path in (output, *output.parents) if path.exists())
        tempfile.TemporaryFile(dir=nearest).close()  # os.access knows nothing of read-only or full disks
    except OSError as error:
        raise _unwritable(output, error) from error
    return output


def _visible(output: Path) -> list[Path]:
    """List what lies in a report's folder and in its folder of notebooks, as far as these exist."""
    folders = [folder for folder in (output, output / "notebooks") if folder.is_dir()]
    return sorted(path for folder in folders for path in folder.iterdir())


def _unwritable(output: Path, error: OSError) -> OutputError:
    """Say that the report's folder cannot be written."""
    return OutputError(
        f"The output folder {str(output)!r} cannot be written ({reason(error)}): choose another folder with --output."
    )


@contextlib.contextmanager
def folder_lock(output: Path) -> Iterator[None]:
    """Keep other reports out of a folder, which is made if missing, for the time of the block.

    The operating system holds the lock, so it ends with this process, however that ends.

    Raises:
        OutputError: another report is being written there, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(output / LOCK, blocking=False)
    try:
        output.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise OutputError(
            f"Another `digits report` is at work in {str(output)!r}: wait for its end, or choose another folder with "
            "--output."
        ) from error
    except OSError as error:
        raise _unwritable(output, error) from error
    try:
        yield
    finally:
        lock.release()


def prepare_output(output: Path, stays: frozenset[str] = frozenset()) -> None:
    """Make the report's folder, without the content of an older report.

    Args:
        output: a folder that `check_output` has passed.
        stays: files of an older report to leave as they are, relative to the folder, with slashes.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        write_whole(output / MARKER, MARKER_TEXT)  # first: what is half made or half removed must stay replaceable
        for path in sorted(output.rglob("*"), reverse=True):  # what is in a folder comes before the folder
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path.relative_to(output).as_posix() not in {*stays, MARKER, LOCK, STATE_FILE}:
                path.unlink()
        (output / "notebooks").mkdir(exist_ok=True)
        (output / "artifacts").mkdir(exist_ok=True)
    except OSError as error:
        raise _unwritable(output, error) from error
