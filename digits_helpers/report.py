"""Run the lessons and make a report of them: executed notebooks, pages, and results as JSON."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits_helpers.errors import DigitsError
from digits_helpers.files import write_json, write_whole
from digits_helpers.pages import write_index, write_page
from digits_helpers.parameters import check_batch_size, check_value
from digits_helpers.progress import Progress
from digits_helpers.results import collect_results, read_headline
from digits_helpers.series import (
    LESSONS,
    NOTEBOOKS,
    Interrupted,
    Lesson,
    LessonError,
    kernel_environment,
    notebook_path,
    run_lesson,
)

if TYPE_CHECKING:
    from digits_helpers.data import Digits

MARKER = ".digits-report"
MARKER_TEXT = "`digits report` made this folder and replaces its content when it runs again.\n"
# What a report consists of, with the traces of a run that was killed. `artifacts` belongs to the lessons.
REPORT_FILES = re.compile(
    r"\.digits-report|(index|\d\d_\w+)\.html|results\.json|artifacts|notebooks|notebooks/\d\d_\w+\.ipynb"
    r"|\.(index|\d\d_\w+)\.html-\w+|\.results\.json-\w+|\.\.digits-report-\w+"
    r"|notebooks/\.*part-\d\d_\w+\.ipynb(-\w+)?|(notebooks/)?(\.ipynb_checkpoints|\.DS_Store)"
)


class OutputError(DigitsError):
    """The report's folder cannot be used."""


@dataclass
class LessonRun:
    """How one lesson of a report went.

    Attributes:
        number: "01" and so on.
        slug: name of the notebook and page, without ending.
        title: the lesson's title.
        status: "not run", "complete" or "failed".
        seconds: how long it took, None when it did not run.
        error: one sentence, when it failed.
    """

    number: str
    slug: str
    title: str
    status: str = "not run"
    seconds: float | None = None
    error: str | None = None


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
    """

    folder: Path
    dataset: str
    dataset_title: str
    notice: str | None
    parameters: dict[str, Any]
    lessons: list[LessonRun]
    headline: dict[str, Any] | None = None

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


def run_report(
    lessons: tuple[Lesson, ...] = LESSONS,
    output: Path = Path("report"),
    notebooks: Path = NOTEBOOKS,
    dataset: str = "auto",
    seed: int = 0,
    epochs: int = 10,
    batch_size: int = 128,
    say: Callable[[str], None] = print,
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

    Returns:
        The report, whether complete or not.

    Raises:
        ParameterError: a parameter is not allowed.
        OutputError: the folder holds something else or cannot be written.
        DatasetError: the data cannot be had.
        LessonError: a notebook is missing.
    """
    parameters = {"dataset": dataset, "seed": seed, "epochs": epochs, "batch_size": batch_size}
    for name, value in parameters.items():
        check_value(name, value)
    for lesson in lessons:
        notebook_path(lesson, notebooks)
    output = check_output(output)
    digits = _resolve_data(dataset, batch_size, say)
    # Lesson 05 must judge the network of this very report where there is one, and not find out by itself.
    trains = any(lesson.number == "04" for lesson in lessons)
    parameters |= {"dataset": digits.name, "network": "own" if trains else "auto"}
    records = [LessonRun(lesson.number, lesson.slug, lesson.title) for lesson in lessons]
    report = Report(output, digits.name, digits.title, digits.notice, parameters, records)
    del digits  # MNIST need not stay in memory while the lessons run
    prepare_output(output)
    _run_lessons(report, lessons, notebooks)
    return report


def _resolve_data(dataset: str, batch_size: int, say: Callable[[str], None]) -> Digits:
    """Find the data that all lessons will use, and check what depends on them."""
    from digits_helpers.data import load_digits
    from digits_helpers.preprocess import split_indices

    digits = load_digits(dataset)
    training, _ = split_indices(digits.train_labels)
    check_batch_size(batch_size, len(training))
    say(f"Data: {digits.title}, {len(digits.train_labels):,} training and {len(digits.test_labels):,} test images.")
    if digits.notice:
        say("\n" + digits.notice.replace("*", "").replace("`", "") + "\n")
    return digits


def _run_lessons(report: Report, lessons: tuple[Lesson, ...], notebooks: Path) -> None:
    """Run the lessons and write pages as they end; whatever happens, the first page tells."""
    folder = report.folder / "notebooks"
    progress = Progress()
    try:
        with kernel_environment(DIGITS_ARTIFACTS_DIR=report.folder / "artifacts"):
            for lesson, record in zip(lessons, report.lessons, strict=True):
                progress.start(f"Lesson {lesson.name}")
                _run_one(lesson, record, notebooks, folder / lesson.notebook, report.parameters, progress)
                if (folder / lesson.notebook).is_file():
                    write_page(lesson, folder / lesson.notebook, report)
                if record.status != "complete":
                    break
    finally:
        report.headline = read_headline(report.folder / "artifacts") if _ran(report, "05") else None
        write_index(report)
        write_json(report.folder / "results.json", collect_results(report))


def _run_one(
    lesson: Lesson, record: LessonRun, notebooks: Path, destination: Path, parameters: dict[str, Any], progress: Progress
) -> None:
    """Run one lesson and note how it went."""
    try:
        record.seconds = round(run_lesson(lesson, notebooks, destination, parameters, progress.enter), 1)
        record.status = "complete"
        progress.end("complete")
    except (LessonError, Interrupted) as error:
        record.status, record.error = "failed", str(error)
        progress.end("failed")
        if isinstance(error, Interrupted):
            raise


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
        if strangers or (inside and MARKER not in inside):
            raise OutputError(
                f"The output folder {str(output)!r} holds something that is no report "
                f"({(strangers or inside)[0]!r}): {advice}"
            )
        nearest = next(path for path in (output, *output.parents) if path.exists())
        tempfile.TemporaryFile(dir=nearest).close()  # os.access knows nothing of read-only or full disks
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(
            f"The output folder {str(output)!r} cannot be written ({reason}): choose another folder with --output."
        ) from error
    return output


def _visible(output: Path) -> list[Path]:
    """List what lies in a report's folder and in its folder of notebooks, as far as these exist."""
    folders = [folder for folder in (output, output / "notebooks") if folder.is_dir()]
    return sorted(path for folder in folders for path in folder.iterdir())


def prepare_output(output: Path) -> None:
    """Make the report's folder, without the content of an older report.

    Args:
        output: a folder that `check_output` has passed.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        write_whole(output / MARKER, MARKER_TEXT)  # first: what is half made or half removed must stay replaceable
        for path in output.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != MARKER:
                path.unlink()
        (output / "notebooks").mkdir()
        (output / "artifacts").mkdir()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(
            f"The output folder {str(output)!r} cannot be written ({reason}): choose another folder with --output."
        ) from error
