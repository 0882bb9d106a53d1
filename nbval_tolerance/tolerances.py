"""How far a number may lie from the stored one: the quantities and tolerances of `tests/tolerances.toml`."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from digits_helpers.errors import DigitsError

TOLERANT_CLASSES = ("close", "trained")
UNITS = ("fraction", "number", "count", "label")
DEFAULT_TOLERANCES = Path(__file__).parents[1] / "tests" / "tolerances.toml"


class VerifyError(DigitsError):
    """The comparison cannot be made: the file with the tolerances, or a cell's tags, are wrong."""


@dataclass(frozen=True)
class Tolerance:
    """How far a number may lie from the stored one: the larger of the two allowances.

    Attributes:
        absolute: in the unit of the quantity.
        relative: as a share of the stored number.
    """

    absolute: Decimal = Decimal(0)
    relative: Decimal = Decimal(0)

    def at(self, value: Decimal) -> Decimal:
        """The allowed difference from this stored value, in the unit of the quantity."""
        return max(self.absolute, self.relative * abs(value))


@dataclass(frozen=True)
class FigureTolerance:
    """How far a figure may lie from the stored one.

    Attributes:
        difference: largest root-mean-square difference, in grey levels from 0 to 255.
        room: how far a line may have moved without counting, in pixels, to either side and up or down.
    """

    difference: float = 0.0
    room: int = 0


@dataclass(frozen=True)
class Quantity:
    """A kind of number that lessons print.

    Attributes:
        name: its name in reports.
        names: what lessons call it; upper and lower case are the same.
        unit: fraction (0 to 1, also printed in %), number, count (whole things), or label
            (whole numbers that name or number something: an epoch, an image, a digit).
        percent_as: the quantity that a number in % belongs to when the unit is count.
        tolerances: class -> tolerance; a class that is missing has to be equal.
    """

    name: str
    names: tuple[str, ...]
    unit: str
    percent_as: str | None = None
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)


@dataclass(frozen=True)
class Name:
    """A quantity's name that stands in a line, from character `start` up to `end`."""

    start: int
    end: int
    quantity: Quantity


class Tolerances:
    """The quantities with their tolerances, and the tolerance of figures.

    Args:
        quantities: every quantity that has a name.
        figures: class -> tolerance; figures of a class that is missing have to be equal.
    """

    def __init__(self, quantities: Sequence[Quantity], figures: Mapping[str, FigureTolerance]) -> None:
        self.quantities = {quantity.name: quantity for quantity in quantities}
        self.figures = dict(figures)
        self._by_name = {_plain(name): quantity for quantity in quantities for name in quantity.names}
        # Longest first, so that "calibration error" is not read as an error.
        spellings = sorted(self._by_name, key=len, reverse=True)
        pattern = "|".join(re.escape(name).replace(r"\ ", r"[\s_-]+") for name in spellings)
        self._pattern = re.compile(rf"(?<![^\W_])(?:{pattern or '(?!)'})(?![^\W_])", re.IGNORECASE)

    def names_in(self, line: str) -> list[Name]:
        """Every quantity's name in the line, from left to right; of two that overlap, the first and longest."""
        matches = self._pattern.finditer(line)
        return [Name(m.start(), m.end(), self._by_name[_plain(m[0])]) for m in matches]


def _plain(name: str) -> str:
    """A name in lower case, with one space wherever it has spaces, underscores or hyphens."""
    return re.sub(r"[\s_-]+", " ", name).lower()


def load_tolerances(path: Path | str | None = None) -> Tolerances:
    """Read the tolerances and check them.

    Args:
        path: a TOML file; without it, the `tests/tolerances.toml` of this checkout.

    Returns:
        The quantities and the tolerance of figures.

    Raises:
        VerifyError: if the file is missing, is not TOML, or holds what this module does not know.
    """
    path = Path(path or DEFAULT_TOLERANCES)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        raise VerifyError(f"No tolerances at {path}; name a TOML file like tests/tolerances.toml.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise VerifyError(f"{path} is not TOML ({error}); mend it or take tests/tolerances.toml.") from None
    _known(table, ("figures", "quantity"), path.name)
    quantities = [_quantity(name, entry, path.name) for name, entry in table.get("quantity", {}).items()]
    _known(table.get("figures", {}), TOLERANT_CLASSES, f"{path.name}, figures,")
    figures = {name: _figures(entry, f"{path.name}, figures, {name}") for name, entry in table.get("figures", {}).items()}
    _check_names(quantities, path.name)
    return Tolerances(quantities, figures)


def _known(table: Mapping[str, Any], allowed: Sequence[str], where: str) -> None:
    for key in table:
        if key not in allowed:
            raise VerifyError(
                f"{where} has the key {key!r}; allowed are {', '.join(allowed)}, so correct or remove it."
            )


def _figures(entry: Mapping[str, Any], where: str) -> FigureTolerance:
    _known(entry, ("difference", "room"), where)
    difference, room = float(entry.get("difference", 0)), entry.get("room", 0)
    if not (math.isfinite(difference) and difference >= 0):
        raise VerifyError(f"{where} has difference = {difference}; it is a number of grey levels from 0 up, so correct it.")
    if type(room) is not int or room < 0:
        raise VerifyError(f"{where} has room = {room}; it is a whole number of pixels from 0 up, so correct it.")
    return FigureTolerance(difference, room)


def _quantity(name: str, entry: Mapping[str, Any], where: str) -> Quantity:
    where = f"{where}, quantity {name!r},"
    _known(entry, ("names", "unit", "percent_as", *TOLERANT_CLASSES), where)
    if entry.get("unit") not in UNITS:
        raise VerifyError(f"{where} has the unit {entry.get('unit')!r}; allowed are {', '.join(UNITS)}.")
    tolerances = {key: _tolerance(entry[key], f"{where} {key}") for key in TOLERANT_CLASSES if key in entry}
    if entry["unit"] == "label" and tolerances:
        raise VerifyError(f"{where} is a label and has a tolerance; labels have to be equal, so remove one of the two.")
    return Quantity(name, tuple(entry.get("names", (name,))), entry["unit"], entry.get("percent_as"), tolerances)


def _tolerance(entry: Mapping[str, Any], where: str) -> Tolerance:
    _known(entry, ("absolute", "relative"), where)
    values = {key: Decimal(str(value)) for key, value in entry.items()}
    for key, value in values.items():
        if not (value.is_finite() and value >= 0):
            raise VerifyError(f"{where} has {key} = {value}; a tolerance is a number from 0 up, so correct it.")
    return Tolerance(**values)


def _check_names(quantities: Sequence[Quantity], where: str) -> None:
    seen: dict[str, str] = {}
    for quantity in quantities:
        for name in map(_plain, quantity.names):
            if name in seen:
                raise VerifyError(
                    f"{where} gives the name {name!r} to {seen[name]!r} and to {quantity.name!r}; keep one."
                )
            seen[name] = quantity.name
    for quantity in quantities:
        if quantity.percent_as not in (None, *(other.name for other in quantities)):
            raise VerifyError(
                f"{where} has percent_as = {quantity.percent_as!r}, which is no quantity; name one of them."
            )
