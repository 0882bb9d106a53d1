"""The parameters of the lessons, with the types that click checks them by; they are checked here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import click

from digits_tools.errors import InputError


class Parameter(NamedTuple):
    """One parameter of the lessons: the value that they have stored, one line for people, which values are allowed."""

    default: str | int
    meaning: str
    type: click.ParamType


PARAMETERS = {  # the data sets are those of digits_helpers.data, which is slow to import
    "dataset": Parameter("auto", "Which digits to use.", click.Choice(("auto", "mnist", "embedded"))),
    "seed": Parameter(0, "Start of every random sequence.", click.IntRange(0, 2**31 - 1)),
    "epochs": Parameter(10, "How often the training sees every image.", click.IntRange(1, 1000)),
    "batch_size": Parameter(128, "How many images the training sees per step.", click.IntRange(min=1)),
    "network": Parameter("shipped", "Which network to evaluate.", click.Choice(("own", "shipped"))),
}


def option(name: str) -> Callable[[Any], Any]:
    """Make the command-line option of a parameter; its default, type and help come from the table."""
    default, meaning, kind = PARAMETERS[name]
    return click.option(f"--{name.replace('_', '-')}", default=default, show_default=True, type=kind, help=meaning)


def parse_value(name: str, text: str) -> Any:
    """Read a parameter's value given as text, as in `digits sweep --set epochs=3`; InputError where it is not valid."""
    try:
        return PARAMETERS[name].type.convert(text, None, None)
    except click.BadParameter as error:
        message, default = error.message.rstrip("."), PARAMETERS[name].default
        raise InputError(f"{name} = {text!r} is not valid ({message}); an example is {default!r}.") from error
