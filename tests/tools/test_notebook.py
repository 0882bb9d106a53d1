"""Notebooks as files."""

import pytest
from nbformat.v4 import new_output
from tiny_lessons import read, write_lesson

from digits_tools.errors import NotebookError
from digits_tools.notebook import clean_notebook, declared_parameters, figure_text, read_notebook, write_notebook


@pytest.mark.parametrize("content", ['{"cells": [', "[]", "", '{"nbformat": 4}'])
def test_a_damaged_notebook_is_one_sentence(tmp_path, content):
    (tmp_path / "04_train.ipynb").write_text(content, encoding="utf-8")
    with pytest.raises(NotebookError, match="04_train.ipynb cannot be read") as caught:
        read_notebook(tmp_path / "04_train.ipynb")
    assert "\n" not in str(caught.value)


def test_a_notebook_that_is_read_and_written_stays_as_it_is(tmp_path):
    path = write_lesson(tmp_path, "01", "print('ä')")
    write_notebook(read_notebook(path), path)
    text = path.read_bytes()
    assert text.endswith(b"}\n") and "ä".encode() in text
    write_notebook(read_notebook(path), path)
    assert path.read_bytes() == text


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ('dataset = "auto"  # or "mnist"\nseed = 0', ["dataset", "seed"]),
        ("", []),
        ("seed = = 0", []),
        ("%time x = 1", []),
    ],
)
def test_declared_parameters(tmp_path, parameters, names):
    path = write_lesson(tmp_path, "01", "later = 1", parameters=parameters)
    assert declared_parameters(read_notebook(path)) == names


def test_a_figure_is_an_image_with_alternative_text():
    about = {"image/png": {"alt": "two peaks"}}
    assert figure_text(new_output("display_data", {"image/png": "x"}, metadata=about)) == "two peaks"
    assert figure_text(new_output("display_data", {"image/png": "x"})) is None
    assert figure_text(new_output("display_data", {"text/plain": "x"}, metadata=about)) is None
    assert figure_text(new_output("stream", text="x")) is None


def test_text_that_follows_text_is_joined(tmp_path):
    notebook = read(write_lesson(tmp_path, "01", "1"))

    def text(name, text):
        return new_output("stream", name=name, text=text)

    figure = new_output("display_data", data={"text/plain": "figure"})
    outputs = [text("stdout", "a"), text("stdout", "b"), text("stderr", "c"), figure]
    notebook.cells[2].outputs = [*outputs, text("stderr", "d"), text("stderr", "e")]
    joined = clean_notebook(notebook).cells[2].outputs
    assert [output.get("text", "figure") for output in joined] == ["ab", "c", "figure", "de"]


def test_cleaning_keeps_what_the_author_wrote(tmp_path):
    notebook = read(write_lesson(tmp_path, "01", "1"))
    notebook.metadata |= {
        "papermill": {"input_path": "x"},
        "widgets": {},
        "language_info": {"name": "python", "version": "3"},
    }
    notebook.cells[2].metadata = {"papermill": {}, "execution": {}, "tags": []}
    cleaned = clean_notebook(notebook)
    assert set(cleaned.metadata) == {"kernelspec", "language_info"}
    assert cleaned.metadata.language_info == {"name": "python"}
    assert cleaned.cells[1].metadata.tags == ["parameters"]
    assert cleaned.cells[2].metadata == {}
