"""The parameters of the lessons, with the types that click checks them by; they are checked here and nowhere else."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from digits_helpers.data import DATASETS
from digits_tools.errors import InputError


@dataclass(frozen=True)
class Parameter:
    """One parameter of the lessons.

    Attributes:
        name: the name in the parameters cell.
        default: the value that the lessons have stored.
        meaning: one line for people.
        type: which values are allowed.
    """

    name: str
    default: str | int
    meaning: str
    type: click.ParamType


PARAMETERS = {
    parameter.name: parameter
    for parameter in (
        Parameter("dataset", "auto", "which digits to use", click.Choice(DATASETS)),
        Parameter("seed", 0, "start of every random sequence", click.IntRange(0, 2**31 - 1)),
        Parameter("epochs", 10, "how often the training sees every image", click.IntRange(1, 1000)),
        Parameter("batch_size", 128, "how many images the training sees per step", click.IntRange(min=1)),
        Parameter("network", "shipped", "which network to evaluate", click.Choice(("own", "shipped"))),
    )
}


def option(name: str) -> Callable[[Any], Any]:
    """Make the command-line option of a parameter; its default, type and help come from the table."""
    parameter = PARAMETERS[name]
    return click.option(
        f"--{name.replace('_', '-')}",
        default=parameter.default,
        show_default=True,
        type=parameter.type,
        help=parameter.meaning.capitalize() + ".",
    )


def parse_value(name: str, text: str) -> Any:
    """Read a value given as text, as in `digits sweep --set epochs=3`.

    Raises:
        InputError: there is no such parameter, or the value is not allowed.
    """
    if name not in PARAMETERS:
        nearest = difflib.get_close_matches(name, PARAMETERS, n=1)
        advice = f"did you mean {nearest[0]!r}?" if nearest else "use one of these or leave it out."
        raise InputError(f"There is no parameter {name!r}, only {', '.join(PARAMETERS)}: {advice}")
    try:
        return PARAMETERS[name].type.convert(text, None, None)
    except click.BadParameter as error:
        default = PARAMETERS[name].default
        raise InputError(f"{name} = {text!r} is not allowed, for example {default!r} is: {error.message}") from error
