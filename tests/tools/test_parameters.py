"""The parameters of the lessons: what is allowed is passed on, everything else is refused with one clear sentence."""

import pytest

from digits_helpers.data import DATASETS
from digits_tools.errors import InputError
from digits_tools.lessons import LESSONS, NOTEBOOKS, notebook_path
from digits_tools.notebook import declared_parameters, read_notebook
from digits_tools.parameters import PARAMETERS, parse_value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", "1", 1),
        ("epochs", "1000", 1000),
        ("seed", "0", 0),
        ("seed", "2147483647", 2**31 - 1),
        ("batch_size", "60000", 60_000),
        ("dataset", "mnist", "mnist"),
        ("network", "own", "own"),
    ],
)
def test_what_is_allowed_is_read(name, text, value):
    assert parse_value(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("epochs", text) for text in ("0", "-1", "1001", "1.5", "ten", "", "True")),
        *(("seed", text) for text in ("-1", "2147483648")),
        ("batch_size", "0"),
        *(("dataset", text) for text in ("MNIST", "fashion", "")),
        ("network", "auto"),
    ],
)
def test_what_is_not_allowed_is_named_with_an_example(name, text):
    with pytest.raises(InputError, match=f"{name} = .*not valid") as caught:
        parse_value(name, text)
    assert repr(PARAMETERS[name].default) in str(caught.value)


def test_the_data_sets_are_those_that_can_be_loaded():
    assert tuple(PARAMETERS["dataset"].type.choices) == DATASETS


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.number)
def test_lessons_have_the_parameters_of_the_table_with_its_defaults(lesson):
    notebook = read_notebook(notebook_path(lesson, NOTEBOOKS))
    namespace = {}
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            exec(cell.source, namespace)
    declared = declared_parameters(notebook)
    assert "dataset" in declared
    assert {name: namespace[name] for name in declared} == {name: PARAMETERS[name].default for name in declared}
