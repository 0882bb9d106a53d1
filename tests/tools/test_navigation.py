"""Navigation cells and README's table come from the list of lessons, and writing them twice changes nothing."""

import pytest
from tiny_lessons import read, write_lesson

from digits_helpers.navigation import (
    TABLE_END,
    TABLE_START,
    NavigationError,
    lesson_table,
    navigation_line,
    set_table,
    update_navigation,
)
from digits_helpers.series import LESSONS


@pytest.fixture
def project(tmp_path):
    for lesson in LESSONS:
        write_lesson(tmp_path / "notebooks", lesson.number, "1")
    (tmp_path / "README.md").write_text(f"# Über\n\n{TABLE_START}\n{TABLE_END}\n\nend\n", encoding="utf-8")
    return tmp_path


def test_everything_is_written_once(project):
    changed = update_navigation(project / "notebooks", project / "README.md")
    assert [path.name for path in changed] == [*(lesson.notebook for lesson in LESSONS), "README.md"]
    before = {path: path.read_bytes() for path in changed}
    assert update_navigation(project / "notebooks", project / "README.md") == []
    assert {path: path.read_bytes() for path in changed} == before


def test_check_writes_nothing(project):
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    assert len(update_navigation(project / "notebooks", project / "README.md", check=True)) == len(before)
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_the_cells_stand_first_and_last_and_keep_their_ids(project):
    update_navigation(project / "notebooks", project / "README.md")
    path = project / "notebooks" / "02_preprocess.ipynb"
    cells = read(path).cells
    assert len(cells) == 5  # three and the two of the navigation
    assert cells[0].source == cells[-1].source == navigation_line(LESSONS[1])
    assert cells[0].metadata.tags == cells[-1].metadata.tags == ["navigation"]
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("Contents", "Old contents").replace("navigation-top", "kept-id"), encoding="utf-8")
    assert update_navigation(project / "notebooks", project / "README.md") == [path]
    assert [cell.id for cell in read(path).cells] == ["kept-id", "title", "parameters", "cell-0", "navigation-bottom"]


def test_the_links_lead_from_lesson_to_lesson():
    first, second, last = LESSONS[0], LESSONS[1], LESSONS[-1]
    assert navigation_line(second) == (
        "[← 01 Explore the data](01_explore_data.ipynb) · [Contents](../README.md#lessons) · "
        "[03 Build the CNN →](03_build_cnn.ipynb)"
    )
    assert "←" not in navigation_line(first)
    assert "→" not in navigation_line(last)


def test_the_table_has_a_row_for_each_lesson():
    lines = lesson_table().splitlines()
    assert len(lines) == 2 + len(LESSONS)
    assert all(line.count("|") == 6 for line in lines)
    assert f"[05 Evaluate the network](notebooks/{LESSONS[4].notebook})" in lines[-1]


@pytest.mark.parametrize(
    "text", ["", TABLE_START, TABLE_END + TABLE_START, TABLE_START + TABLE_END + TABLE_START, TABLE_START + TABLE_END * 2]
)
def test_a_readme_without_a_place_for_the_table_is_one_sentence(text):
    with pytest.raises(NavigationError, match="does not mark where the lesson table goes"):
        set_table(text)
