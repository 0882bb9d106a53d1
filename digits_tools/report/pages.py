"""The pages of a report: the first page, and one page per executed lesson.

Pages ask nobody for anything: style, figures and formulas are in the files, so that a folder can be read from a disk
without a network.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits_tools.folders import atomic_write
from digits_tools.notebook import figure_text, has_tag, read_notebook
from digits_tools.report.record import LessonRun, Report
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

    executed = [(lesson, report.notebook(lesson)) for lesson in report.lessons if report.notebook(lesson).is_file()]
    slugs = [lesson.slug for lesson, _ in executed]
    figures: list[dict[str, Any]] = []
    for place, (lesson, path) in enumerate(executed):
        notebook = join_captions(read_notebook(path))
        figures += headline_figures(lesson, notebook)
        before, after = (executed[place - 1][0] if place else None), (executed[place + 1 :] or [[None]])[0][0]
        page = lesson_html(notebook, lesson, neighbours(before, after), str(TEMPLATES))
        atomic_write(report.folder / f"{lesson.slug}.html", link_pages(page, slugs))
    write_index(report, figures, slugs)


def write_index(report: Report, figures: list[dict[str, Any]], pages: list[str]) -> None:
    """Write the report's first page, with figures from `headline_figures` and links to the slugs that have a page."""
    cells = [(lesson, cell) for lesson in report.lessons for cell in lesson.cells]
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


def neighbours(before: LessonRun | None, after: LessonRun | None) -> list[tuple[str, str, str | None]]:
    """List where a page leads: text, address, and relation ("prev", "next" or None) of each link."""
    links: list[tuple[str, str, str | None]] = [("Contents", INDEX, None)]
    if before:
        links.insert(0, (f"← {before.name}", f"{before.slug}.html", "prev"))
    if after:
        links.append((f"{after.name} →", f"{after.slug}.html", "next"))
    return links


def link_pages(page: str, slugs: list[str]) -> str:
    """Turn links to notebooks into links to their pages; those to README and to notebooks without page lead to the first.

    Args:
        page: HTML.
        slugs: the lessons that have a page.
    """

    def replace(match: re.Match[str]) -> str:
        slug = match["target"].removesuffix(".ipynb")
        address = f"{slug}.html{match['anchor'] or ''}" if slug in slugs else INDEX
        return f'{match["before"]}href="{address}"'

    links = r'(?P<before><a\b[^>]*?\s)href="(?P<target>(?:(?!\w+:)[^"#])*\.(?:ipynb|md))(?P<anchor>#[^"]*)?"'
    return re.sub(links, replace, page)


def headline_figures(lesson: LessonRun, notebook: NotebookNode) -> list[dict[str, Any]]:
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
            image, link = output.data["image/png"].replace("\n", ""), f"{lesson.slug}.html#cell-id={cell.id}"
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
