"""What a sweep varies: values of parameters, as given with `--set`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from digits_tools.errors import InputError
from digits_tools.parameters import parse_value

VARIED = ("epochs", "batch_size", "seed")  # seed last: the runs of one setting stand together in the table
MAX_RUNS = 10_000  # more than that is a mistyped range, and years of computing


def read_settings(texts: Sequence[str]) -> dict[str, list[int]]:
    """Read what a sweep varies.

    >>> read_settings(["seed=0:3", "epochs=1,3"])
    {'epochs': [1, 3], 'seed': [0, 1, 2]}

    Args:
        texts: name and values, as in "seed=0:10", "seed=0:10:2" (both as Python's ranges) or "epochs=1,3".

    Returns:
        Name to values, in the order of `VARIED`, values in ascending order, each once.

    Raises:
        InputError: a name or value is not valid, or there are no or too many combinations.
    """
    found: dict[str, set[int]] = {}
    for text in texts or ("",):
        name, equals, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in VARIED:
            allowed = f"{', '.join(VARIED[:-1])} or {VARIED[-1]}"
            raise InputError(f"set = {text!r} is not valid: give {allowed} with values, as in --set seed=0:10.")
        for part in values.split(","):
            found.setdefault(name, set()).update(_read_values(name, part.strip()))
    if math.prod(map(len, found.values())) > MAX_RUNS:
        raise InputError(f"set = {', '.join(texts)!r} makes more than {MAX_RUNS:,} combinations: give fewer values.")
    return {name: sorted(found[name]) for name in VARIED if name in found}


def _read_values(name: str, text: str) -> Sequence[int]:
    """Read one value, or a range; of one that is too long, no more than is refused anyway."""
    if ":" not in text:
        return [parse_value(name, text)]
    try:
        values = range(*map(int, text.split(":")))
        edges = values[0], values[-1]
    except (ValueError, TypeError, IndexError) as error:
        advice = "give first:end or first:end:step with the end left out, for example 0:10."
        raise InputError(f"{name} = {text!r} is not valid, or empty: {advice}") from error
    for value in edges:
        parse_value(name, str(value))
    return values[: MAX_RUNS + 1]
