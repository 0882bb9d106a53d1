"""What the lessons can be run with: one table of parameters, and the check that every lesson starts with.

A lesson's parameters stand in its cell tagged `parameters`; the cell after it calls `check_parameters(globals())`.
papermill writes the values that it is given into a cell of its own, right after the tagged one, and only warns about
a name that the lesson does not have. A run with a misspelt name would then use the default without a word, so the check
looks at that cell too.
"""

from __future__ import annotations

import ast
import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from digits_helpers.errors import DigitsError

BACKUP_FILE = "training-backup.npz"  # in the artifacts folder: a training that was cut short
INJECTED_CELL_START = "# Parameters"  # how papermill's cell begins


class ParameterError(DigitsError):
    """A parameter has a name or a value that the lessons do not know."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of the lessons.

    Attributes:
        name: The name in the parameters cell.
        default: The value that the lessons have stored, also the example in error messages.
        meaning: One line for people.
        choices: The allowed texts, for a parameter that is a choice.
        low: Smallest allowed whole number, for a parameter that is a number.
        high: Largest allowed whole number; None when only the data limit it.
    """

    name: str
    default: str | int
    meaning: str
    choices: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.low is None:
            return "the name of a folder"
        if self.high is None:
            return f"a whole number of at least {self.low}"
        return f"a whole number from {self.low} to {self.high}"

    def accepts(self, value: object) -> bool:
        """Tell whether `value` has the right type and lies in the allowed range.

        `True` is an `int` for Python, but nobody means one epoch by it: it is refused.
        """
        if self.choices:
            return isinstance(value, str) and value in self.choices
        if self.low is None:
            return isinstance(value, str) and value.strip() != "" and "\0" not in value
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return value >= self.low and (self.high is None or value <= self.high)


PARAMETERS: dict[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        Parameter("dataset", "auto", "which digits to use", choices=("auto", "mnist", "embedded")),
        Parameter("seed", 0, "start of every random sequence", low=0, high=2**31 - 1),
        Parameter("epochs", 10, "how often the training sees every image", low=1, high=1000),
        Parameter("batch_size", 128, "how many images the training sees per step", low=1),
        Parameter("artifacts", "artifacts", "folder in which lessons leave results for each other"),
        Parameter("network", "auto", "which network to evaluate", choices=("auto", "own", "shipped")),
    )
}


def check_value(name: str, value: object) -> str | int:
    """Check one parameter.

    Args:
        name: Its name.
        value: The value given.

    Returns:
        The value, unchanged.

    Raises:
        ParameterError: The name is unknown, or the value has a wrong type or is out of range.
    """
    if name not in PARAMETERS:
        raise _unknown_name(name, list(PARAMETERS))
    parameter = PARAMETERS[name]
    if not parameter.accepts(value):
        raise ParameterError(
            f"{name} = {value!r} is not allowed: give {parameter.allowed}, for example {parameter.default!r}."
        )
    return value


def check_batch_size(batch_size: int, n: int) -> int:
    """Check that a batch is not larger than the data it is taken from.

    Args:
        batch_size: Images per training step.
        n: Images in the training set.

    Returns:
        The batch size, unchanged.

    Raises:
        ParameterError: It is no whole number of at least 1, or larger than `n`.
    """
    check_value("batch_size", batch_size)
    if batch_size > n:
        raise ParameterError(
            f"batch_size = {batch_size} is larger than the training set of {n} images: give a whole number "
            f"from 1 to {n}, for example {min(128, n)}."
        )
    return batch_size


def check_parameters(namespace: Mapping[str, object]) -> SimpleNamespace:
    """Check a lesson's parameters before the lesson computes anything; introduced in lesson 01.

    Args:
        namespace: The lesson's variables: a lesson calls `check_parameters(globals())`.

    Returns:
        The lesson's parameters as a record, for example with `.dataset` and `.seed`.

    Raises:
        ParameterError: A value has a wrong type or is out of range, or papermill was given a name that the lesson
            does not have.
    """
    cells = namespace.get("In", [])
    _check_injected_names(cells if isinstance(cells, Sequence) else [])
    found = {name: check_value(name, namespace[name]) for name in PARAMETERS if name in namespace}
    return SimpleNamespace(**found)


def artifacts_folder(artifacts: str) -> Path:
    """Find the folder in which lessons leave results for each other, and make it if it is missing.

    Args:
        artifacts: The lesson's parameter. The environment variable DIGITS_ARTIFACTS_DIR, which the report sets, wins
            over it.

    Returns:
        The folder, which exists.

    Raises:
        ParameterError: The folder cannot be made or is a file.
    """
    folder = Path(os.environ.get("DIGITS_ARTIFACTS_DIR") or str(check_value("artifacts", artifacts)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ParameterError(
            f"The artifacts folder {str(folder)!r} cannot be made ({reason}): give the name of a folder that can be "
            "written, for example 'artifacts'."
        ) from error
    return folder


def assigned_names(source: str) -> list[str]:
    """List the names that a cell assigns at its top level, in order.

    Args:
        source: The cell's code; a cell that is not plain Python has none.

    Returns:
        Names on the left of `=`, also with a type annotation.
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return []
    names: list[str] = []
    for statement in statements:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        names += [target.id for target in targets if isinstance(target, ast.Name)]
    return names


def _check_injected_names(cells: Sequence[object]) -> None:
    """Refuse names in papermill's cell that no cell before it has assigned.

    Args:
        cells: The sources of the cells executed so far, as IPython keeps them in `In`.
    """
    declared: list[str] = []
    for source in (str(cell) for cell in cells):
        names = assigned_names(source)
        if source.startswith(INJECTED_CELL_START):
            known = [name for name in PARAMETERS if name in declared] or list(PARAMETERS)
            for name in names:
                if name not in known:
                    raise _unknown_name(name, known)
        declared += names


def _unknown_name(name: str, known: list[str]) -> ParameterError:
    """Build the error for a parameter name that does not exist, with the nearest one that does."""
    nearest = difflib.get_close_matches(name, known, n=1)
    advice = f"did you mean {nearest[0]!r}?" if nearest else "use one of these or leave it out."
    return ParameterError(f"There is no parameter {name!r} here, only {', '.join(known)}: {advice}")
