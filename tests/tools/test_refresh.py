"""Refreshing the stored outputs: from one real run, clean, and all or nothing."""

import base64
import os
from pathlib import Path

import nbformat
import pytest
from tiny_lessons import printed, read, write_lesson

from digits_helpers import data
from digits_helpers.data import MnistUnavailable
from digits_helpers.refresh import RefreshError, changes, refresh, replace_together, with_outputs
from digits_helpers.series import LessonError, select_lessons

SEE_ARTIFACTS = """
import os, pathlib
folder = pathlib.Path(os.environ["DIGITS_ARTIFACTS_DIR"])
print(sorted(path.name for path in folder.iterdir()) if folder.exists() else [])
folder.mkdir(exist_ok=True)
(folder / "training.json").touch()
"""
SEE_NETWORK = "import os, pathlib\nprint((pathlib.Path(os.environ['DIGITS_NETWORKS_DIR']) / 'reference.npz').read_text())"


@pytest.fixture
def series(tmp_path, monkeypatch):
    """Stored lessons 04 and 05 with an older shipped network; MNIST is taken as present."""
    monkeypatch.setattr(data, "load_digits", lambda dataset: None if dataset == "mnist" else pytest.fail(dataset))
    write_lesson(tmp_path / "notebooks", "04", SEE_ARTIFACTS, "print('a')\nprint('b', flush=True)\nprint('c')")
    write_lesson(tmp_path / "notebooks", "05", SEE_ARTIFACTS, SEE_NETWORK)
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "reference.npz").write_text("old network", encoding="utf-8")
    return tmp_path


def ship(artifacts: Path, destination: Path) -> None:
    assert [path.name for path in artifacts.iterdir()] == ["training.json"]
    (destination / "reference.npz").write_text("new network", encoding="utf-8")


def run(series, lessons="04-05", ship=ship):
    return refresh(select_lessons(lessons), series / "notebooks", series / "networks", lambda line: None, ship)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_refresh_stores_outputs_and_network_and_a_second_one_changes_nothing(series):
    stored_ids = [cell.id for cell in read(series / "notebooks" / "04_train.ipynb").cells]
    assert sorted(run(series)) == ["04_train.ipynb", "05_evaluate.ipynb", "reference.npz"]

    path = series / "notebooks" / "04_train.ipynb"
    notebook = read(path)
    # every lesson finds an empty folder of artifacts, and 05 the network that 04 has just trained
    assert printed(path) == "[]\na\nb\nc\n"
    assert printed(series / "notebooks" / "05_evaluate.ipynb") == "[]\nnew network\n"
    assert (series / "networks" / "reference.npz").read_text(encoding="utf-8") == "new network"

    assert [cell.id for cell in notebook.cells][1:-1] == stored_ids
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"] == [1, 2, 3]
    assert len(notebook.cells[-2].outputs) == 1  # the texts are joined, however the kernel cut them
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert "version" not in notebook.metadata.language_info
    assert notebook.metadata.kernelspec.display_name == "Python 3"
    assert "papermill" not in path.read_text(encoding="utf-8")
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert "Train" in notebook.cells[0].source or "05" in notebook.cells[0].source  # the navigation

    before = contents(series)
    assert run(series) == []
    assert contents(series) == before


def test_a_lesson_that_fails_leaves_everything_as_it_was(series):
    write_lesson(series / "notebooks", "05", "1 / 0")
    before = contents(series)
    with pytest.raises(LessonError, match="Lesson 05 Evaluate the network stopped in cell 3"):
        run(series)
    assert contents(series) == before


def test_without_04_the_shipped_network_stays(series):
    assert run(series, "05", ship=lambda *_: pytest.fail("nothing to ship")) == ["05_evaluate.ipynb"]
    assert printed(series / "notebooks" / "05_evaluate.ipynb") == "[]\nold network\n"
    assert (series / "networks" / "reference.npz").read_text(encoding="utf-8") == "old network"


def test_without_mnist_nothing_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITS_OFFLINE", "1")
    monkeypatch.delenv("DIGITS_DATA_DIR", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "no cache"))
    write_lesson(tmp_path / "notebooks", "01", "1")
    before = contents(tmp_path)
    with pytest.raises(MnistUnavailable):
        refresh(select_lessons("01"), tmp_path / "notebooks", tmp_path / "networks")
    assert contents(tmp_path) == before


def test_replacing_brings_the_old_contents_back_when_it_fails_in_the_middle(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / name).write_text("old", encoding="utf-8")
    before = contents(tmp_path)
    real = os.replace

    def fail_at_c(source, target):
        if Path(target).name == "c":
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr("digits_helpers.refresh.os.replace", fail_at_c)
    with pytest.raises(RefreshError, match="No space left on device.*as before"):
        new = {tmp_path / name: b"new" for name in ("a", "new folder/d", "c")}
        replace_together(new, tmp_path / "journal")
    assert contents(tmp_path) == before


def notebook(*outputs):
    new = nbformat.v4
    cells = [new.new_code_cell("1", id=f"cell-{index}", outputs=[output]) for index, output in enumerate(outputs)]
    return new.new_notebook(cells=cells)


def text(text):
    return nbformat.v4.new_output("stream", text=text)


def figure(shade, caption):
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.new("L", (4, 4), shade).save(buffer, "PNG")
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode()}
    return nbformat.v4.new_output("display_data", data, metadata={"image/png": {"alt": caption}})


def test_changes_are_told_by_cell_with_old_and_new_numbers():
    before = notebook(text("same\n"), text("test accuracy 99.24%, test loss 0.0299\nerrors 76"), text("yes"))
    after = notebook(text("same\n"), text("test accuracy 99.20%, test loss 0.0299\nerrors 80"), text("no"))
    assert changes(before, before) == []
    assert changes(before, after) == [
        "code cell (id cell-1): accuracy 99.24 % → 99.20 %; errors 76 → 80",
        "code cell (id cell-2): text differs: stored 'yes', new 'no'",
    ]
    assert changes(notebook(), after)[0] == "code cell (id cell-0): additional: stream stdout 'same'"


def test_changes_of_figures_are_told_with_their_size():
    # All pixels are 10 grey levels apart, so the root mean square is 10
    told = changes(notebook(figure(100, "loss 0.5")), notebook(figure(110, "loss 0.6")))
    assert told == ["code cell (id cell-0): figure: difference 10; loss 0.5 → 0.6"]


def test_a_run_with_another_number_of_cells_is_refused():
    with pytest.raises(ValueError, match="zip"):
        with_outputs(notebook(text("a")), notebook(text("a"), text("b")))
