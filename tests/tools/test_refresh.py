"""Refreshing the stored outputs: from one real run, clean, and a second one changes nothing."""

import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from tiny_lessons import printed, read, write_lesson

from digits_helpers import data
from digits_helpers.data import MnistUnavailable
from digits_tools import notebook as notebook_module
from digits_tools.errors import InputError
from digits_tools.lessons import LESSONS, LessonError, select_lessons
from digits_tools.maintain import refresh as refresh_module
from digits_tools.maintain.refresh import refresh
from digits_tools.notebook import load_series_tolerances

SEE_FOLDER = """
import pathlib
print(sorted(path.name for path in pathlib.Path().rglob("*")))
pathlib.Path("artifacts").mkdir()
pathlib.Path("artifacts/reference.keras").touch()
"""
SEE_NETWORK = "# as network_path('shipped')\nimport os, pathlib\nprint((pathlib.Path(os.environ['DIGITS_NETWORKS_DIR']) / 'reference.keras').read_text())"
TRAIN = """
import time
print(f"accuracy 0.5 - {time.time_ns() % 10**8}ms/step", flush=True)
print('c')
7 * 6
"""


@pytest.fixture
def series(tmp_path, monkeypatch):
    """Stored lessons 04 and 05 with an older shipped network; MNIST is taken as present."""
    monkeypatch.setattr(
        data, "load_digits", lambda dataset, verbose: None if dataset == "mnist" else pytest.fail(dataset)
    )
    monkeypatch.setitem(sys.modules, "digits_helpers.train", SimpleNamespace(ship_network=ship))
    write_lesson(tmp_path / "notebooks", "01", SEE_NETWORK)
    write_lesson(tmp_path / "notebooks", "04", SEE_FOLDER, TRAIN)
    write_lesson(tmp_path / "notebooks", "05", SEE_FOLDER, SEE_NETWORK)
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "reference.keras").write_text("old network", encoding="utf-8")
    return tmp_path


def ship(artifacts: Path, destination: Path) -> None:
    assert [path.name for path in artifacts.iterdir()] == ["reference.keras"]
    (destination / "reference.keras").write_text("new network", encoding="utf-8")


def run(series, lessons="04-05", echo=lambda line: None):
    return refresh(select_lessons(lessons), series / "notebooks", series / "networks", echo)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_refresh_stores_outputs_and_network_and_a_second_one_changes_nothing(series):
    train, evaluate = (series / "notebooks" / lesson.notebook for lesson in select_lessons("04-05"))
    stored_ids = [cell.id for cell in read(train).cells]
    assert sorted(run(series, "01,04-05")) == [LESSONS[0].notebook, train.name, evaluate.name, "reference.keras"]

    notebook = read(train)
    # Every lesson finds an empty folder, and 01 and 05 the network that 04 has just trained
    assert printed(series / "notebooks" / LESSONS[0].notebook) == "new network\n"
    assert printed(train).startswith("[]\naccuracy 0.5 - ")
    assert printed(evaluate) == "[]\nnew network\n"
    assert (series / "networks" / "reference.keras").read_text(encoding="utf-8") == "new network"

    assert [cell.id for cell in notebook.cells][1:-1] == stored_ids
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"] == [1, 2, 3]
    assert [output.output_type for output in notebook.cells[-2].outputs] == ["stream", "execute_result"]
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert "papermill" not in train.read_text(encoding="utf-8")
    assert train.read_text(encoding="utf-8").endswith("}\n")
    assert "navigation" in notebook.cells[0].metadata.tags

    before = contents(series)
    assert run(series) == []  # although another duration was printed
    assert contents(series) == before


def test_04_alone_names_the_lessons_that_show_the_network_it_replaced(series):
    lines = []
    run(series, "04", lines.append)
    assert "old network: 01, 05." in lines[-1]
    lines.clear()
    run(series, "04", lines.append)  # the same network again
    assert not [line for line in lines if "old network" in line]


def test_what_stops_a_refresh_leaves_everything_as_it_was(series, monkeypatch):
    write_lesson(series / "notebooks", "05", "1 / 0")
    (series / "tolerances.toml").write_text("[class", encoding="utf-8")
    before = contents(series)
    with pytest.raises(LessonError, match="05 Evaluate"):  # a lesson fails, after 04 has run
        run(series)
    monkeypatch.setattr(notebook_module, "TOLERANCES", series / "tolerances.toml")
    with pytest.raises(InputError, match="tolerances.toml is not TOML"):  # before anything runs
        run(series)
    assert contents(series) == before


def test_without_04_the_shipped_network_stays(series, monkeypatch):
    monkeypatch.setitem(sys.modules, "digits_helpers.train", None)  # there is nothing to ship
    assert run(series, "05") == [LESSONS[4].notebook]
    assert printed(series / "notebooks" / LESSONS[4].notebook) == "[]\nold network\n"


def test_without_mnist_nothing_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITS_OFFLINE", "1")
    monkeypatch.delenv("DIGITS_DATA_DIR", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "no cache"))
    write_lesson(tmp_path / "notebooks", "01", "1")
    before = contents(tmp_path)
    with pytest.raises(MnistUnavailable):
        refresh(select_lessons("01"), tmp_path / "notebooks", tmp_path / "networks")
    assert contents(tmp_path) == before


# --- What is kept, and what is told ---


def take_outputs(stored, executed):
    return refresh_module.take_outputs(stored, executed, load_series_tolerances())


DRAWN = {"axes": [{"lines": [{"label": "training", "y": [0.5, 0.6]}]}]}


def notebook(*outputs):
    new = nbformat.v4
    cells = [new.new_code_cell("1", id=f"cell-{index}", outputs=[output]) for index, output in enumerate(outputs)]
    return new.new_notebook(cells=cells)


def text(text, name="stdout"):
    return nbformat.v4.new_output("stream", text=text, name=name)


def figure(**metadata):
    return nbformat.v4.new_output("display_data", {"text/plain": "<Figure>"}, metadata=metadata)


def test_durations_and_addresses_are_kept_and_other_changes_stored():
    first = ["same\n", "10s - 85ms/step - loss: 0.25\n", "<function f at 0x7f0998ab5250>\n", "10s - loss 0.25\n"]
    second = ["same\n", "11s - 91ms/step - loss: 0.25\n", "<function f at 0x7f0998ab5260>\n", "11s - loss 0.26\n"]
    stored = notebook(*map(text, first))
    lines = take_outputs(stored, notebook(*map(text, second)))
    assert [cell.outputs[0].text for cell in stored.cells] == [*first[:3], second[3]]
    assert len(lines) == 1
    assert lines[0].startswith("cell 4: ")
    assert "0.25" in lines[0] and "0.26" in lines[0]
    assert take_outputs(notebook(text("no")), notebook(text("Warning: old\n", "stderr")))[-1].startswith(
        "Warning: cell 1"
    )


def test_what_a_figure_draws_is_stored_even_where_nothing_was_before():
    for metadata in ({"nbval_tolerance": DRAWN}, {"nbval_tolerance": DRAWN, "image/png": {"alt": "It rises."}}):
        stored = notebook(figure())
        assert len(take_outputs(stored, notebook(figure(**metadata)))) == 1
        assert stored.cells[0].outputs[0].metadata == metadata


def test_a_new_cell_counts_the_ones_after_it_anew():
    result = nbformat.v4.new_output("execute_result", {"text/plain": "1"}, execution_count=1)
    stored, executed = notebook(text("new"), result), notebook(text("new"), {**result, "execution_count": 2})
    assert take_outputs(stored, executed) == []
    assert [cell.execution_count for cell in stored.cells] == [1, 2]
    assert stored.cells[1].outputs[0].execution_count == 2


def test_many_changes_in_a_cell_are_told_shortly():
    before, after = ("".join(f"run {row}: loss 0.{digit}{row}\n" for row in range(1, 10)) for digit in (3, 4))
    (line,) = take_outputs(notebook(text(before)), notebook(text(after)))
    assert "0.31" in line and "0.41" in line
    assert line.endswith("5 more")


def test_a_run_with_another_number_of_cells_is_refused():
    with pytest.raises(ValueError, match="zip"):
        take_outputs(notebook(text("a")), notebook(text("a"), text("b")))
