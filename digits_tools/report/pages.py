"""The pages of a report: the first page, and one page per executed lesson.

Pages ask nobody for anything: style, figures and formulas are in the files, so that a folder can be read from a disk
without a network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits_helpers.files import write_whole
from digits_helpers.progress import clock
from digits_helpers.series import LESSONS, Lesson, LessonError, read_notebook
from digits_helpers.verdict import row_texts

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from digits_helpers.report import LessonRun, Report

TEMPLATES = Path(__file__).resolve().parent / "templates"
INDEX = "index.html"
WIDE = 700  # CSS pixels from which a figure takes the whole line
SLOWEST = 10  # how many cells the first page lists with their run time

# The figures of the first page, in its order: number of the lesson, and id of the cell that shows the figure.
KEY_FIGURES = (
    ("01", "079cc3e3"),  # the first images of each class
    ("05", "5943d770"),  # the confusion matrix
    ("04", "6659b0c8"),  # the learning curves
    ("05", "15770db5"),  # the worst mistakes
)


@dataclass(frozen=True)
class KeyFigure:
    """A figure of a lesson, shown again on the first page.

    Attributes:
        image: PNG, in base64.
        finding: what it shows, one sentence: its alternative text and caption.
        width: in CSS pixels, None for that of the image.
        link: address of the cell in the lesson's page.
        lesson: number and title of the lesson.
    """

    image: str
    finding: str
    width: int | None
    link: str
    lesson: str

    @property
    def wide(self) -> bool:
        """Whether it would be too small to read beside another one."""
        return (self.width or 0) >= WIDE


def write_index(report: Report, results: dict[str, Any]) -> None:
    """Write the report's first page, and make the links between the lessons' pages lead where pages are.

    Args:
        report: the report.
        results: what `results.collect_results` says of it.

    Raises:
        OSError: a page cannot be written.
    """
    import jinja2

    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters.update(clock=clock, percent=percent)
    page = environment.get_template("index.html.j2").render(
        report=report,
        results=results,
        verdict=shown_rows(results),
        network=results.get("network") or {},
        git=results.get("git") or {},
        machine=machine_lines(results.get("machine") or {}),
        notice=re.sub(r"[*`]", "", report.notice or ""),
        pages=existing_pages(report),
        figures=key_figures(report),
        slowest=slowest_cells(report),
    )
    write_whole(report.index, page)
    _relink(report)


def write_page(lesson: Lesson, notebook: Path, report: Report) -> None:
    """Write the page of an executed lesson.

    Args:
        lesson: the lesson.
        notebook: the executed notebook.
        report: the report that it belongs to.

    Raises:
        LessonError: the notebook is damaged.
        OSError: the page cannot be written.
    """
    from digits_helpers.exporter import LessonExporter, join_captions

    exporter = LessonExporter(template_file="lesson.html.j2", extra_template_paths=[str(TEMPLATES)])
    record = next(record for record in report.lessons if record.slug == lesson.slug)
    resources = {
        "metadata": {"name": lesson.name},
        "digits": {"record": record, "navigation": neighbours(record, report.lessons)},
    }
    page, _ = exporter.from_notebook_node(join_captions(read_notebook(notebook)), resources)
    write_whole(report.folder / lesson.page, link_pages(page, {record.slug for record in report.lessons}))


def neighbours(record: LessonRun, lessons: list[LessonRun]) -> list[tuple[str, str, str | None]]:
    """List where a lesson's page leads: to the lesson before it, the first page, and the lesson after it.

    Args:
        record: the lesson.
        lessons: those of the report, in order.

    Returns:
        Text, address, and relation ("prev", "next" or None) of each link. Addresses are those of notebooks, as in the
        lessons' own links.
    """
    place = lessons.index(record)
    links: list[tuple[str, str, str | None]] = [("Contents", INDEX, None)]
    if place > 0:
        before = lessons[place - 1]
        links.insert(0, (f"← {before.number} {before.title}", f"{before.slug}.ipynb", "prev"))
    if place + 1 < len(lessons):
        after = lessons[place + 1]
        links.append((f"{after.number} {after.title} →", f"{after.slug}.ipynb", "next"))
    return links


# --- Links ---


def link_pages(page: str, slugs: set[str]) -> str:
    """Turn links between notebooks into links between pages.

    Args:
        page: HTML.
        slugs: the lessons of the report.

    Returns:
        The HTML, in which links to README and to lessons outside the report lead to the first page. A link to a lesson
        of the report also carries its address as `data-page`, so that it can be changed when that page is missing.
    """
    known = {lesson.slug for lesson in LESSONS}

    def replace(match: re.Match[str]) -> str:
        target, anchor = match["target"], match["anchor"] or ""
        slug = target.removesuffix(".ipynb")
        if target == "../README.md" or (target != slug and slug in known - slugs):
            return f'{match["before"]}href="{INDEX}"'
        if target != slug and slug in slugs:
            return f'{match["before"]}href="{slug}.html{anchor}" data-page="{slug}.html{anchor}"'
        return match[0]

    return re.sub(r'(?P<before><a\b[^>]*?\s)href="(?P<target>[^"#]*)(?P<anchor>#[^"]*)?"', replace, page)


def existing_pages(report: Report) -> set[str]:
    """Find the lessons of a report that have a page, by their slugs."""
    return {lesson.slug for lesson in report.lessons if (report.folder / f"{lesson.slug}.html").is_file()}


def _relink(report: Report) -> None:
    """Lead the links to lessons that did not run to the first page, and back to the lessons that ran later."""
    present = existing_pages(report)

    def replace(match: re.Match[str]) -> str:
        page = match["page"]
        return f'href="{page if page.partition(".")[0] in present else INDEX}" data-page="{page}"'

    for slug in sorted(present):
        path = report.folder / f"{slug}.html"
        text = path.read_text(encoding="utf-8")
        linked = re.sub(r'href="[^"]*" data-page="(?P<page>[^"]*)"', replace, text)
        if linked != text:
            write_whole(path, linked)


# --- What the first page shows ---


def key_figures(report: Report) -> list[KeyFigure]:
    """Find the key figures in the executed notebooks; one that is not there is left out."""
    titles = {lesson.number: lesson for lesson in report.lessons}
    found = []
    for number, cell_id in KEY_FIGURES:
        lesson = titles.get(number)
        path = report.folder / "notebooks" / f"{lesson.slug}.ipynb" if lesson else None
        if path is None or not path.is_file():
            continue
        try:
            figure = find_figure(read_notebook(path), cell_id)
        except LessonError:  # the lesson's own page and record tell what is wrong with it
            continue
        if figure:
            data, about = figure["data"]["image/png"], figure["metadata"]["image/png"]
            link, name = f"{lesson.slug}.html#cell-id={cell_id}", f"{lesson.number} {lesson.title}"
            found.append(KeyFigure(data.replace("\n", ""), about["alt"], about.get("width"), link, name))
    return found


def find_figure(notebook: NotebookNode, cell_id: str) -> dict[str, Any] | None:
    """Find the first figure that a cell shows, or None."""
    outputs = [output for cell in notebook.cells if cell.get("id") == cell_id for output in cell.get("outputs", [])]
    return next((output for output in outputs if figure_text(output)), None)


def figure_text(output: dict[str, Any]) -> str | None:
    """Return the alternative text of a cell's output; None for an output that is no figure."""
    about = output.get("metadata", {}).get("image/png", {})
    return about.get("alt") if "image/png" in output.get("data", {}) else None


def shown_rows(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Choose the rows of the verdict that say something, and write them for people.

    Returns:
        For each row its `texts` as in the terminal, `ok` and `remark`; nothing where lesson 05 has measured nothing and
        nobody expects anything.
    """
    rows = [row for row in results.get("verdict") or [] if row["measured"] is not None or row["ok"] is not None]
    if not results.get("metrics") and all(row["ok"] is None for row in rows):
        return []
    return [{"texts": row_texts(row), "ok": row["ok"], "remark": row["remark"]} for row in rows]


def slowest_cells(report: Report) -> list[tuple[LessonRun, Any]]:
    """List the cells that took longest, with their lessons, the slowest first."""
    cells = [(lesson, cell) for lesson in report.lessons for cell in lesson.cells]
    return sorted(cells, key=lambda pair: -pair[1].seconds)[:SLOWEST]


def machine_lines(machine: dict[str, Any]) -> dict[str, str]:
    """Write what is known of the machine for people; `provenance.machine_facts` says what that is.

    >>> machine_lines({"instruction_sets": ["AVX", "AVX2"], "logical_processors": 2, "memory": 8e9, "settings": {}})
    {'instruction sets': 'AVX, AVX2', 'logical processors': '2', 'memory': '8.0 GB', 'settings': 'none'}
    >>> machine_lines({"processor": None})
    {'processor': 'unknown'}
    """
    lines = {}
    for name, value in machine.items():
        if isinstance(value, dict):
            value = [f"{key}={setting}" for key, setting in value.items()]
        if name == "memory" and value is not None:
            value = f"{value / 1e9:.1f} GB"
        text = (", ".join(map(str, value)) or "none") if isinstance(value, list) else value
        lines[name.replace("_", " ")] = "unknown" if text is None else str(text)
    return lines


def percent(share: float) -> str:
    """Write a share for people.

    >>> percent(0.99174)
    '99.17 %'
    """
    return f"{100 * share:.2f} %"
