"""Navigation cells and README's table come from the list of lessons, and writing them twice changes nothing."""

import pytest
from tiny_lessons import read, write_lesson

from digits_tools.errors import InputError
from digits_tools.lessons import LESSONS
from digits_tools.maintain.navigation import TABLE_END, TABLE_START, lesson_table, update_navigation


@pytest.fixture
def project(tmp_path):
    for lesson in LESSONS:
        write_lesson(tmp_path / "notebooks", lesson.number, "1")
    (tmp_path / "README.md").write_text(f"# Über\n\n{TABLE_START}\n{TABLE_END}\n\nend\n", encoding="utf-8")
    return tmp_path


def update(project, **options):
    return update_navigation(project / "notebooks", project / "README.md", **options)


def contents(project):
    return {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}


def test_everything_is_written_once(project):
    assert [path.name for path in update(project)] == [*(lesson.notebook for lesson in LESSONS), "README.md"]
    before = contents(project)
    assert update(project) == []
    assert contents(project) == before
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert readme.startswith("# Über\n")
    assert readme.endswith(f"\n{lesson_table()}\n{TABLE_END}\n\nend\n")


def test_check_writes_nothing(project):
    before = contents(project)
    assert len(update(project, check=True)) == len(before)
    assert contents(project) == before


def test_the_cells_stand_first_and_last_and_keep_their_ids(project):
    update(project)
    path = project / "notebooks" / LESSONS[1].notebook
    cells = read(path).cells
    assert len(cells) == 5  # three and the two of the navigation
    assert cells[0].metadata.tags == cells[-1].metadata.tags == ["navigation"]
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("Contents", "Old contents").replace("navigation-top", "kept-id"), encoding="utf-8")
    assert update(project) == [path]
    assert [cell.id for cell in read(path).cells] == ["kept-id", "title", "parameters", "cell-0", "navigation-bottom"]


def test_the_links_lead_from_lesson_to_lesson(project):
    update(project)
    texts = [read(project / "notebooks" / lesson.notebook).cells[0].source for lesson in LESSONS]
    assert texts[1] == (
        "[← 01 Explore the data](01_explore_data.ipynb) · [Contents](../README.md#lessons) · "
        "[03 Build the CNN →](03_build_cnn.ipynb)"
    )
    assert "←" not in texts[0]
    assert "→" not in texts[-1]


def test_the_table_has_a_row_for_each_lesson():
    lines = lesson_table().splitlines()
    assert len(lines) == 2 + len(LESSONS)
    assert len({line.count("|") for line in lines}) == 1
    assert f"[05 Evaluate the network](notebooks/{LESSONS[4].notebook})" in lines[6]


@pytest.mark.parametrize(
    "text",
    ["", TABLE_START, TABLE_END + TABLE_START, TABLE_START + TABLE_END + TABLE_START, TABLE_START + TABLE_END * 2],
)
def test_a_readme_without_a_place_for_the_table_is_refused(project, text):
    (project / "README.md").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="lesson table"):
        update(project)
