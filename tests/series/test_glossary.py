"""The glossary: every link from a lesson finds its term, and every term is explained in a lesson."""

import re
from pathlib import Path

import nbformat

PROJECT = Path(__file__).parents[2]
GLOSSARY = (PROJECT / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS = {title.lower().replace(" ", "-"): title for title in re.findall(r"^## (.+)$", GLOSSARY, re.M)}


def links() -> dict[str, set[str]]:
    """Lesson number to the anchors of the glossary that it links to."""
    found = {}
    for path in sorted((PROJECT / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        found[path.name[:2]] = set(re.findall(r"\.\./docs/glossary\.md#([\w-]+)", prose))
    return found


def test_every_link_finds_its_term():
    for lesson, anchors in links().items():
        assert anchors <= set(TERMS), lesson
        assert anchors, f"lesson {lesson} links to no term"


def test_terms_are_in_order_and_once():
    titles = re.findall(r"^## (.+)$", GLOSSARY, re.M)
    assert titles == sorted(set(titles), key=str.lower)


def test_each_term_names_lessons_that_exist():
    for section in GLOSSARY.split("\n## ")[1:]:
        numbers = re.findall(r"\[(\d\d)\]\(\.\./notebooks/(\d\d)_\w+\.ipynb\)", section)
        assert numbers, section
        assert all(shown == linked for shown, linked in numbers)
