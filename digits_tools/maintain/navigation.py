"""Links between the lessons, and README's lesson table: both are written from the one list of lessons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from digits_tools.errors import InputError
from digits_tools.folders import atomic_write
from digits_tools.lessons import LESSONS, NOTEBOOKS, PROJECT, Lesson, notebook_path
from digits_tools.notebook import has_tag, notebook_text, read_notebook

if TYPE_CHECKING:
    from nbformat import NotebookNode

README = PROJECT / "README.md"
TABLE_START = "<!-- lessons:start -->"
TABLE_END = "<!-- lessons:end -->"
CONTENTS = "../README.md#lessons"  # the heading above the table


def update_navigation(notebooks: Path = NOTEBOOKS, readme: Path = README, check: bool = False) -> list[Path]:
    """Bring the navigation cells of all notebooks and README's table in line with the list of lessons.

    Returns the files that were, or with `check` (which writes nothing) are, not in line.
    """
    wanted = {}
    for lesson in LESSONS:
        path = notebook_path(lesson, notebooks)
        wanted[path] = notebook_text(set_navigation(read_notebook(path), lesson))
    wanted[readme] = _set_table(readme.read_text(encoding="utf-8"))
    changed = [path for path, text in wanted.items() if path.read_text(encoding="utf-8") != text]
    for path in [] if check else changed:
        atomic_write(path, wanted[path])
    return changed


def set_navigation(notebook: NotebookNode, lesson: Lesson) -> NotebookNode:
    """Make the notebook's first and last cell its navigation; cells that it has already keep their ids."""
    import nbformat

    text = _links(lesson)
    ends = {"top": notebook.cells[:1], "bottom": notebook.cells[1:][-1:]}
    for place, cells in ends.items():
        if cells and has_tag(cells[0], "navigation"):
            cells[0].source = text
            continue
        cell = nbformat.v4.new_markdown_cell(text, id=f"navigation-{place}", metadata={"tags": ["navigation"]})
        notebook.cells.insert(0 if place == "top" else len(notebook.cells), cell)
    return notebook


def _links(lesson: Lesson) -> str:
    """Link the lesson before this one, the contents and the lesson after it, as Markdown."""
    position = LESSONS.index(lesson)
    links = [f"[← {before.name}]({before.notebook})" for before in LESSONS[:position][-1:]]
    links.append(f"[Contents]({CONTENTS})")
    links += [f"[{after.name} →]({after.notebook})" for after in LESSONS[position + 1 :][:1]]
    return " · ".join(links)


def _set_table(readme: str) -> str:
    """Replace the lesson table in README's text."""
    before, start, rest = readme.partition(TABLE_START)
    _, end, after = rest.partition(TABLE_END)
    if not start or not end or TABLE_START in after or TABLE_END in after:
        raise InputError(
            f"README.md does not mark where the lesson table goes: write {TABLE_START} and {TABLE_END} on lines of "
            "their own, once each and in this order."
        )
    return f"{before}{start}\n{lesson_table()}\n{end}{after}"


def lesson_table() -> str:
    """Write README's lesson table as Markdown."""
    rows = ["| Lesson | Question | Reading | Running | Exercises |", "| --- | --- | ---: | ---: | ---: |"]
    for lesson in LESSONS:
        minutes = " | ".join(f"{value} min" for value in (lesson.reading, lesson.running, lesson.exercises))
        rows.append(f"| [{lesson.name}](notebooks/{lesson.notebook}) | {lesson.question} | {minutes} |")
    return "\n".join(rows)
