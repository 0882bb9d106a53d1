"""The pages of a report: the first page, and one page per executed lesson."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from digits_helpers.files import write_whole
from digits_helpers.progress import clock
from digits_helpers.results import headline_text
from digits_helpers.series import LESSONS, Lesson, read_notebook

if TYPE_CHECKING:
    from digits_helpers.report import Report

TEMPLATES = Path(__file__).resolve().parent / "templates"


def write_index(report: Report) -> None:
    """Write the report's first page."""
    import jinja2

    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["clock"] = clock
    pages = {lesson.slug for lesson in report.lessons if (report.folder / f"{lesson.slug}.html").is_file()}
    page = environment.get_template("index.html.j2").render(
        report=report,
        headline=headline_text(report.headline) if report.headline else None,
        notice=re.sub(r"[*`]", "", report.notice or ""),
        pages=pages,
    )
    write_whole(report.index, page)


def write_page(lesson: Lesson, notebook: Path, report: Report) -> None:
    """Write the page of an executed lesson.

    Args:
        lesson: the lesson.
        notebook: the executed notebook.
        report: the report that it belongs to.
    """
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_file="lesson.html.j2", extra_template_paths=[str(TEMPLATES)])
    page, _ = exporter.from_notebook_node(read_notebook(notebook), {"metadata": {"name": lesson.name}})
    pages = {f"{record.slug}.ipynb": f"{record.slug}.html" for record in report.lessons}
    write_whole(report.folder / lesson.page, link_pages(page, pages))


def link_pages(page: str, pages: dict[str, str]) -> str:
    """Turn links between notebooks into links between pages.

    Args:
        page: HTML.
        pages: notebook file name to page file name, for the lessons of the report.

    Returns:
        The HTML, in which links to README and to lessons outside the report lead to the first page.
    """
    known = {lesson.notebook for lesson in LESSONS}

    def replace(match: re.Match[str]) -> str:
        target, anchor = match["target"], match["anchor"] or ""
        if target == "../README.md":
            return 'href="index.html"'
        if target in pages:
            return f'href="{pages[target]}{anchor}"'
        return 'href="index.html"' if target in known else match[0]

    return re.sub(r'href="(?P<target>[^"#]*)(?P<anchor>#[^"]*)?"', replace, page)
