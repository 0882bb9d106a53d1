"""The parameters of the lessons: what is allowed is passed on, everything else is refused with one clear sentence."""

import pytest

from digits_helpers import parameters
from digits_helpers.errors import DigitsError
from digits_helpers.parameters import (
    PARAMETERS,
    ParameterError,
    artifacts_folder,
    assigned_names,
    check_batch_size,
    check_parameters,
    check_value,
)

# A lesson's cells as IPython keeps them in `In`: index 0 is always empty.
LESSON_CELLS = ["", "import numpy as np", 'dataset = "auto"\nepochs = 10', "check_parameters(globals())"]


def with_injected(source):
    """The cells of a lesson that papermill has given its own cell, which it places after the parameters cell."""
    return [*LESSON_CELLS[:3], "# Parameters\n" + source, *LESSON_CELLS[3:]]


def test_every_default_is_allowed():
    for parameter in PARAMETERS.values():
        assert parameter.accepts(parameter.default), parameter.name


def test_returns_the_parameters_the_lesson_has_and_nothing_else():
    record = check_parameters({"epochs": 3, "dataset": "mnist", "np": object(), "In": LESSON_CELLS})
    assert vars(record) == {"dataset": "mnist", "epochs": 3}


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 1), ("epochs", 1000), ("seed", 0), ("seed", 2**31 - 1), ("batch_size", 60000), ("network", "own")],
)
def test_the_ends_of_the_ranges_are_allowed(name, value):
    assert check_value(name, value) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", -1),
        ("epochs", 1001),
        ("epochs", 1.5),
        ("epochs", 3.0),
        ("epochs", "ten"),
        ("epochs", True),
        ("epochs", None),
        ("seed", -1),
        ("seed", 2**31),
        ("batch_size", 0),
        ("dataset", "MNIST"),
        ("dataset", "fashion"),
        ("dataset", ["mnist"]),
        ("network", "mine"),
        ("artifacts", ""),
        ("artifacts", "a\0b"),
        ("artifacts", 3),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(name, value):
    with pytest.raises(ParameterError) as caught:
        check_parameters({name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} = {value!r} is not allowed: give ")
    assert PARAMETERS[name].allowed in message
    assert repr(PARAMETERS[name].default) in message  # an example: what to do
    assert "\n" not in message


def test_the_errors_are_for_the_reader():
    assert issubclass(ParameterError, DigitsError)


def test_the_allowed_range_is_said_in_words():
    assert PARAMETERS["epochs"].allowed == "a whole number from 1 to 1000"
    assert PARAMETERS["batch_size"].allowed == "a whole number of at least 1"
    assert PARAMETERS["dataset"].allowed == "one of auto, mnist, embedded"
    assert PARAMETERS["artifacts"].allowed == "the name of a folder"


def test_an_injected_name_that_the_lesson_has_is_allowed():
    check_parameters({"epochs": 2, "In": with_injected("epochs = 2")})


def test_an_injected_misspelt_name_is_refused_with_the_nearest_one():
    with pytest.raises(ParameterError, match=r"no parameter 'epoch' here.*did you mean 'epochs'\?"):
        check_parameters({"epoch": 2, "epochs": 10, "In": with_injected("epoch = 2")})


def test_an_injected_name_that_is_like_no_other_is_refused_with_the_list():
    with pytest.raises(ParameterError, match="no parameter 'zzz' here, only dataset, epochs: use one of these"):
        check_parameters({"zzz": 2, "In": with_injected("zzz = 2")})


def test_an_injected_parameter_of_another_lesson_is_refused():
    # network exists in the series, but this lesson would ignore it
    with pytest.raises(ParameterError, match="no parameter 'network' here, only dataset, epochs"):
        check_parameters({"network": "own", "In": with_injected("network = 'own'")})


def test_a_name_of_the_learner_is_nobody_elses_business():
    check_parameters({"epoch": 2, "In": [*LESSON_CELLS, "epoch = 2"]})


def test_outside_a_notebook_there_are_no_cells_to_look_at():
    assert vars(check_parameters({"seed": 1})) == {"seed": 1}


def test_batch_size_against_the_data():
    assert check_batch_size(1437, 1437) == 1437
    with pytest.raises(ParameterError, match="batch_size = 1438 is larger than the training set of 1437 images"):
        check_batch_size(1438, 1437)
    with pytest.raises(ParameterError, match="batch_size = 0 is not allowed"):
        check_batch_size(0, 1437)


def test_an_unknown_name_is_refused_by_check_value():
    with pytest.raises(ParameterError, match=r"did you mean 'batch_size'\?"):
        check_value("batchsize", 128)


def test_assigned_names():
    source = "a = 1\nb: int = 2\nc, d = 3, 4\nx.y = 5\nfor i in []:\n    z = 1\n"
    assert assigned_names(source)[:2] == ["a", "b"]
    assert "z" not in assigned_names(source)
    assert assigned_names("%matplotlib inline") == []


def test_artifacts_folder_is_made(tmp_path, monkeypatch):
    monkeypatch.delenv("DIGITS_ARTIFACTS_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = artifacts_folder("a place/of my own")
    assert folder.is_dir()
    assert (tmp_path / "a place" / "of my own").is_dir()


def test_the_environment_wins_over_the_parameter(tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITS_ARTIFACTS_DIR", str(tmp_path / "from environment"))
    assert artifacts_folder("artifacts") == tmp_path / "from environment"
    assert (tmp_path / "from environment").is_dir()


def test_a_file_in_the_way_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv("DIGITS_ARTIFACTS_DIR", raising=False)
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    with pytest.raises(ParameterError, match="taken.*cannot be made.*folder that can be written"):
        artifacts_folder(str(tmp_path / "taken"))
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"


def test_the_injected_cell_begins_as_papermill_writes_it():
    from papermill.translators import PythonTranslator

    assert PythonTranslator.codify({"epochs": 2}).startswith(parameters.INJECTED_CELL_START + "\n")
