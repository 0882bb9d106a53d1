"""How far a number may lie from the stored one: per class of cells, per quantity, per cell."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

from nbval_tolerance.volatile import KINDS, Volatile

UNITS = ("fraction", "number", "count", "label")


class ToleranceError(ValueError):
    """The comparison cannot be made: a setting, a cell's tags or a file are wrong. The message says which."""


@dataclass(frozen=True)
class Tolerance:
    """The largest difference: the larger of `atol` (in the unit of the number) and `rtol` × the stored number."""

    atol: Decimal = Decimal(0)
    rtol: Decimal = Decimal(0)


# What a tag means before anybody has configured anything: `close` as numpy.allclose, `trained` five percent.
CLASSES = {"close": Tolerance(Decimal("1e-8"), Decimal("1e-5")), "trained": Tolerance(rtol=Decimal("0.05"))}


class Quantity(NamedTuple):
    """A kind of number that notebooks print or draw; docs/nbval_tolerance.md explains the fields."""

    name: str
    names: Sequence[str]
    unit: str = "number"
    tolerances: Mapping[str, Tolerance] = {}  # for a class that is missing here, that class's own


class Name(NamedTuple):
    """A quantity's name that stands in a line, from character `start` up to `end`."""

    start: int
    end: int
    quantity: Quantity


@dataclass
class Tolerances:
    """Everything that decides whether two outputs are equal enough."""

    quantities: Mapping[str, Quantity] = field(default_factory=dict)  # by name
    classes: Mapping[str, Tolerance] = field(default_factory=lambda: CLASSES)  # of numbers without a quantity
    untagged: Tolerance | None = None  # of cells without a tag; without it they are exact
    volatile: Volatile = field(default_factory=Volatile)

    def __post_init__(self) -> None:
        self._by_name = {_plain(name): quantity for quantity in self.quantities.values() for name in quantity.names}
        # Longest first, so that "calibration error" is not read as an error.
        spellings = sorted(self._by_name, key=len, reverse=True)
        pattern = "|".join(re.escape(name).replace(r"\ ", r"[\s_-]+") for name in spellings) or "(?!)"
        self._pattern = re.compile(rf"(?<![^\W_])(?:{pattern})(?![^\W_])", re.IGNORECASE)

    def names_in(self, line: str) -> list[Name]:
        """Every quantity's name in the line, from left to right; of two that overlap, the first and longest."""
        return [Name(*match.span(), self._by_name[_plain(match[0])]) for match in self._pattern.finditer(line)]

    def tolerance(self, kind: str, quantity: Quantity | None) -> Tolerance:
        """The tolerance of a quantity in cells of a class; a class such as "rtol=0.001" is a tolerance itself."""
        if quantity is not None and kind in quantity.tolerances:
            return quantity.tolerances[kind]
        if kind == "untagged" and self.untagged:
            return self.untagged
        return parse_tolerance(kind) if "=" in kind else self.classes.get(kind, Tolerance())


def _plain(name: str) -> str:
    """A name in lower case, with one space wherever it has spaces, underscores or hyphens."""
    return re.sub(r"[\s_-]+", " ", name).lower()


def parse_tolerance(text: str, where: str = "tolerance") -> Tolerance:
    """Read a tolerance such as "rtol=1e-3 atol=0.5"; ToleranceError if it is anything else."""
    pairs = [part.split("=") for part in re.sub(r"\s*=\s*", "=", text).replace(",", " ").split()]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ToleranceError(f"{where}: {text!r} is no tolerance; write rtol=1e-3, atol=0.5 or both.")
    return _tolerance(dict(pairs), where)


def load_tolerances(
    path: Path | str | None = None,
    *,
    rtol: str | None = None,
    atol: str | None = None,
    classes: Iterable[str] = (),
    volatile: Iterable[str] = (),
    compared: Iterable[str] = (),
) -> Tolerances:
    """Read the TOML file, if there is one, and the settings, which go before it, and check them.

    The settings are those of the plugin: `classes` are lines such as "close: rtol=1e-4", `volatile` regular
    expressions, `compared` kinds of volatile text. ToleranceError names what is wrong.
    """
    where = Path(path).name if path else "settings"
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"), parse_float=Decimal) if path else {}
    except FileNotFoundError:
        raise ToleranceError(f"No tolerances at {path}; give the path of a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ToleranceError(f"{path} is not TOML: {error}.") from None
    _check_keys(table, ("class", "quantity", "volatile"), where)
    known = {name: _tolerance(entry, f"{where}, class {name}") for name, entry in table.get("class", {}).items()}
    for name, _, text in (line.partition(":") for line in classes):
        known[name.strip()] = parse_tolerance(text, f"class {name.strip()}")
    kinds = {*CLASSES, *known, "untagged"}
    quantities = {name: _quantity(name, entry, kinds, where) for name, entry in table.get("quantity", {}).items()}
    names = [_plain(name) for quantity in quantities.values() for name in quantity.names]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ToleranceError(f"{where} gives a name to two quantities: {', '.join(map(repr, twice))}; keep one.")
    untagged = {key: value for key, value in (("rtol", rtol), ("atol", atol)) if value}
    own = table.get("volatile", {})
    _check_keys(own, (*KINDS, "patterns"), f"{where}, volatile,")
    _check_keys(compared, KINDS, "compared")
    try:
        hidden = Volatile(
            {*compared, *(kind for kind in KINDS if own.get(kind) is False)}, [*own.get("patterns", []), *volatile]
        )
    except re.error as error:
        raise ToleranceError(f"{where}: {error.pattern!r} is not a regular expression ({error}).") from None
    return Tolerances(quantities, CLASSES | known, _tolerance(untagged, "settings") if untagged else None, hidden)


def _check_keys(keys: Iterable[str], allowed: Iterable[str], where: str) -> None:
    for key in keys:
        if key not in allowed:
            raise ToleranceError(f"{where} has the key {key!r}; allowed are {', '.join(sorted(allowed))}.")


def _quantity(name: str, entry: Mapping[str, Any], kinds: set[str], where: str) -> Quantity:
    where, unit = f"{where}, quantity {name!r},", entry.get("unit", "number")
    _check_keys(entry, ("names", "unit", *kinds), where)
    _check_keys([unit], UNITS, f"{where} unit")
    tolerances = {key: _tolerance(entry[key], f"{where} {key}") for key in entry if key in kinds}
    if unit == "label" and tolerances:
        raise ToleranceError(f"{where} is a label and has a tolerance; labels have to be equal: remove one of the two.")
    return Quantity(name, entry.get("names", [name]), unit, tolerances)


def _tolerance(entry: Mapping[str, Any], where: str) -> Tolerance:
    _check_keys(entry, ("atol", "rtol"), where)
    try:
        values = {key: Decimal(str(value)) for key, value in entry.items()}
    except InvalidOperation:
        values = {"": Decimal("nan")}
    if not all(value.is_finite() and value >= 0 for value in values.values()):
        given = ", ".join(f"{key} = {value}" for key, value in entry.items())
        raise ToleranceError(f"{where} has {given}; a tolerance is a number from 0 up.")
    return Tolerance(**values)
