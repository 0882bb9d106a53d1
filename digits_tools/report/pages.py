"""The pages of a report: the first page, and one page per executed lesson.

Pages are self-contained: style, figures and formulas are in the files, so that a folder can be read without a network.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits_tools.folders import atomic_write
from digits_tools.lessons import Lesson
from digits_tools.notebook import figure_text, has_tag, read_notebook
from digits_tools.report.record import Report
from digits_tools.report.verdict import row_texts
from digits_tools.run import clock

if TYPE_CHECKING:
    import jinja2
    from nbformat import NotebookNode

TEMPLATES = Path(__file__).resolve().parent / "templates"
INDEX = "index.html"
WIDE = 700  # CSS pixels from which a figure takes the whole line
SLOWEST = 10  # how many cells the first page lists with their run time
HEADLINE_TAG = "headline-figure"  # on cells of lessons whose figure the first page shows


def write_pages(report: Report) -> None:
    """Write a page for each lesson that has an executed notebook, and the first page.

    Raises:
        NotebookError: a notebook is damaged.
        OSError: a page cannot be written.
    """
    from digits_tools.report.exporter import join_captions, lesson_html  # slow: nbconvert

    executed = [run for run in report.lessons if report.notebook(run.lesson).is_file()]
    lessons = [run.lesson for run in executed]
    figures: list[dict[str, Any]] = []
    for place, run in enumerate(executed):
        notebook = join_captions(read_notebook(report.notebook(run.lesson)))
        figures += headline_figures(run.lesson, notebook)
        page = lesson_html(notebook, run, neighbours(lessons, place), str(TEMPLATES))
        atomic_write(report.folder / run.lesson.page, link_pages(page, lessons))
    write_index(report, figures, lessons)


def write_index(report: Report, figures: list[dict[str, Any]], pages: list[Lesson]) -> None:
    """Write the report's first page, with figures from `headline_figures` and links to the lessons that have a page."""
    cells = [(run.lesson, cell) for run in report.lessons for cell in run.cells]
    page = _index_template().render(
        report=report,
        results=report.results,
        verdict=shown_rows(report.results),
        machine=machine_lines(report.results.get("machine") or {}),
        pages=pages,
        figures=figures,
        slowest=sorted(cells, key=lambda pair: -pair[1].seconds)[:SLOWEST],
    )
    atomic_write(report.index, page)


@functools.cache
def _index_template() -> jinja2.Template:
    import jinja2

    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters.update(clock=clock, percent=lambda share: f"{100 * share:.2f} %")
    return environment.get_template("index.html.j2")


def neighbours(lessons: list[Lesson], place: int) -> list[tuple[str, str, str | None]]:
    """List where a lesson's page leads: text, address, and relation ("prev", "next" or None) of each link."""
    before = [(f"← {lesson.name}", lesson.page, "prev") for lesson in lessons[:place][-1:]]
    after = [(f"{lesson.name} →", lesson.page, "next") for lesson in lessons[place + 1 :][:1]]
    return [*before, ("Contents", INDEX, None), *after]


def link_pages(page: str, lessons: list[Lesson]) -> str:
    """Make links to notebooks lead to the pages of these lessons; those to others and to README lead to the first page."""
    pages = {lesson.notebook: lesson.page for lesson in lessons}

    def replace(match: re.Match[str]) -> str:
        address = f"{pages[match['target']]}{match['anchor'] or ''}" if match["target"] in pages else INDEX
        return f'{match["before"]}href="{address}"'

    links = r'(?P<before><a\b[^>]*?\s)href="(?P<target>(?:(?!\w+:)[^"#])*\.(?:ipynb|md))(?P<anchor>#[^"]*)?"'
    return re.sub(links, replace, page)


def headline_figures(lesson: Lesson, notebook: NotebookNode) -> list[dict[str, Any]]:
    """Find the first figure of each cell that is tagged for the first page.

    Returns:
        For each figure its `image` (PNG, in base64), `alt` (its caption, too), `width` in CSS pixels, whether it is too
        `wide` to be read beside another one, and the `link` to its cell in the page of the `lesson`.
    """
    found = []
    for cell in (cell for cell in notebook.cells if has_tag(cell, HEADLINE_TAG)):
        figures = [output for output in cell.get("outputs", []) if figure_text(output)]
        for output in figures[:1]:
            width = output.metadata["image/png"].get("width")
            image, link = output.data["image/png"].replace("\n", ""), f"{lesson.page}#cell-id={cell.id}"
            facts = {"image": image, "alt": figure_text(output), "width": width, "wide": (width or 0) >= WIDE}
            found.append({**facts, "link": link, "lesson": lesson.name})
    return found


def shown_rows(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Choose the rows of the verdict that say something: `texts` as in the terminal, `ok` and `remark` of each."""
    rows = [row for row in results.get("verdict") or [] if row["measured"] is not None or row["ok"] is not None]
    if not results.get("metrics") and all(row["ok"] is None for row in rows):
        return []
    return [{"texts": row_texts(row), "ok": row["ok"], "remark": row["remark"]} for row in rows]


def machine_lines(machine: dict[str, Any]) -> dict[str, str]:
    """Write what `machine.machine_facts` has found for people, as in {"logical processors": "2", "settings": "none"}."""
    lines = {}
    for name, value in machine.items():
        if isinstance(value, dict):
            value = [f"{key}={setting}" for key, setting in value.items()]
        if name == "memory" and value is not None:
            value = f"{value / 1e9:.1f} GB"
        text = (", ".join(map(str, value)) or "none") if isinstance(value, list) else value
        lines[name.replace("_", " ")] = "unknown" if text is None else str(text)
    return lines
