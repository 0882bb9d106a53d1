"""The list of the lessons, and records of how they went."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import digits_helpers
from digits_helpers.errors import DigitsError
from digits_tools.errors import FAILED, INTERRUPTED, InputError, NotebookError

PACKAGE = Path(digits_helpers.__file__).parent  # what lessons import
PROJECT = Path(__file__).resolve().parent.parent
NOTEBOOKS = PROJECT / "notebooks"


@dataclass(frozen=True)
class Lesson:
    """One lesson; minutes of running are measured on two cores, with MNIST."""

    slug: str  # name of its notebook, without the ending; its first two digits are the lesson's number
    title: str  # its heading
    reading: int  # minutes
    running: int
    exercises: int
    question: str  # what the reader can answer afterwards, one line

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
    Lesson("01_explore_data", "Explore the data", 25, 1, 25,
           "What is in the digits, and how far does one get without a network?"),
    Lesson("02_preprocess", "Preprocess the images", 35, 1, 30,
           "Why scale, reshape, encode and split, and what goes wrong without?"),
    Lesson("03_build_cnn", "Build the CNN", 45, 1, 40,
           "What does each layer compute, and where do its parameters come from?"),
    Lesson("04_train", "Train the network", 45, 12, 40,
           "How does the network learn, and how does one see when it learns too much?"),
    Lesson("05_evaluate", "Evaluate the network", 30, 1, 25,
           "How good is it, how sure is that number, and which digits does it miss?"),
)  # fmt: skip


@dataclass(frozen=True)
class CellTime:
    """How long one cell took."""

    number: int  # from 1, in the numbering of the stored notebook
    seconds: float  # wall time, rounded to 0.01
    source: str  # first line of the cell


@dataclass(frozen=True)
class LessonTimes:
    """How long a lesson took."""

    seconds: float  # wall time with the start and the end of the kernel, rounded to 0.1
    cells: list[CellTime] = field(default_factory=list)  # that were executed, in order


class LessonError(DigitsError):
    """A lesson stopped before its end."""

    exit_code = FAILED
    times = LessonTimes(0.0)  # how long it and its cells took until then


class Interrupted(LessonError):
    """Someone ended the run from outside, for example with Ctrl-C."""

    exit_code = INTERRUPTED


def select_lessons(text: str) -> tuple[Lesson, ...]:
    """Choose lessons, each once, in the order of the series, by a text such as "02", "01-05" or "01,03-04".

    InputError where the text is anything else, or names a lesson that does not exist.
    """
    numbers = [lesson.number for lesson in LESSONS]
    chosen: set[str] = set()
    for part in text.split(","):
        start, dash, end = part.partition("-")
        first, last = (text.strip().zfill(2) for text in (start, end if dash else start))
        if first not in numbers or last not in numbers or first > last:
            raise InputError(
                f"lessons = {text!r} is not valid: give numbers from {numbers[0]} to {numbers[-1]}, one, a range or "
                f"a list of them, for example 02 or {numbers[0]}-{numbers[-1]} or 01,03."
            )
        chosen.update(number for number in numbers if first <= number <= last)
    return tuple(lesson for lesson in LESSONS if lesson.number in chosen)


def networks_folder() -> Path:
    """Find the folder of the network that ships with the series: $DIGITS_NETWORKS_DIR, else the package's."""
    return Path(os.environ.get("DIGITS_NETWORKS_DIR") or PACKAGE / "networks")


def notebook_path(lesson: Lesson, folder: Path) -> Path:
    """Find a lesson's notebook in a folder.

    Raises:
        NotebookError: it is not there.
    """
    path = folder / lesson.notebook
    if not path.is_file():
        raise NotebookError(
            f"The notebook {lesson.notebook} is not in {str(folder)!r}: run this from a complete copy of the project, "
            "installed with `pip install -r requirements.txt` in its folder."
        )
    return path
