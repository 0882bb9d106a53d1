"""Find the numbers that a text prints, and which quantity each of them is.

Used by `digits_helpers.verify` to compare the outputs of notebooks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from digits_helpers.tolerances import Name, Quantity, Tolerances

# A number is part of the text when it is glued to a word (float32, F1, Conv2D, 10k, AVX-512),
# to a × (28×28) or to another dot (3.11.2). The groups (?>…) do not give characters back:
# without them, 3 of the 32 in "32x" would count as a number.
_NUMBER = re.compile(
    r"""
    (?<![\w.×]) (?<![^\W\d]-)
    (?P<sign>[+−-]?)
    (?>(?: \d{1,3}(?:,\d{3})+(?!\d) | \d+ ) (?:\.\d+)? | \.\d+)
    (?>(?:[eE][+−-]?\d+)?)
    (?![\w×]) (?!\.\d)
    """,
    re.VERBOSE,
)
# \s includes the no-break spaces that are usual before the percent sign.
_PERCENT = re.compile(r"\s?(?:%|percent\b|(?:percentage )?points?\b)")
_RANGE = re.compile(r"\s?(?:[–…±-]|to)\s?")  # 98.9–99.3 %: the sign counts for both
_OUT_OF = re.compile(r"\s*(?:/|of|out of)\s*(?:the\s+)?")  # 9,913 of 10,000: the total is no result
_BETWEEN = re.compile(r"[\s:=≈~(*`|_\"]*")  # what may stand between a name and its number


@dataclass(frozen=True)
class Number:
    """A number in a line of text.

    Attributes:
        raw: as printed.
        start: index of its first character.
        end: index after its last character, without its unit.
        percent: whether it is printed in % or in percentage points.
    """

    raw: str
    start: int
    end: int
    percent: bool = False

    @property
    def sign(self) -> str:
        """The sign as printed, or an empty string."""
        return self.raw[0] if self.raw[0] in "+-−" else ""

    @property
    def whole(self) -> bool:
        """Whether it is printed as a whole number."""
        return re.fullmatch(r"[+−-]?[\d,]+", self.raw) is not None

    @property
    def value(self) -> Decimal:
        """Its value in the unit of the quantity: 99.1 % is 0.991."""
        return self._printed().scaleb(-2 if self.percent else 0)

    @property
    def last_place(self) -> Decimal:
        """One unit in the last printed place, in the unit of the quantity."""
        return Decimal(1).scaleb(int(self._printed().as_tuple().exponent) - (2 if self.percent else 0))

    def _printed(self) -> Decimal:
        return Decimal(self.raw.replace(",", "").replace("−", "-"))


def find_numbers(line: str) -> list[Number]:
    """Find the numbers in a line of text.

    Args:
        line: one line.

    Returns:
        The numbers from left to right, without those that are part of a word.

    Example:
        >>> [number.raw for number in find_numbers("Conv2D on 28×28: 1,234 errors, −0.5 or 2e-7")]
        ['1,234', '−0.5', '2e-7']
    """
    found: list[Number] = []
    for match in reversed(list(_NUMBER.finditer(line))):
        percent = _PERCENT.match(line, match.end()) is not None
        if found and _RANGE.fullmatch(line[match.end() : found[0].start]):
            percent = percent or found[0].percent
        found.insert(0, Number(match[0], match.start(), match.end(), percent))
    return found


@dataclass(frozen=True)
class Row:
    """Where a line's numbers get their names from when it is a row of a Markdown table.

    Attributes:
        header: the cells of the table's first row; empty for a line that is in no table.
    """

    header: tuple[str, ...] = ()


def row_cells(line: str) -> list[str]:
    """The cells of a Markdown table row, with an empty first one before the leading bar."""
    return re.split(r"(?<!\\)\|", line)


def table_rows(lines: Sequence[str]) -> list[Row]:
    """For each line, the header of the Markdown table that it stands in."""
    rows, header = [], ()
    for index, line in enumerate(lines):
        if not line.lstrip().startswith("|"):
            header = ()
        elif index + 1 < len(lines) and re.fullmatch(r"\s*\|[\s:|-]*-[\s:|-]*", lines[index + 1]):
            header = tuple(row_cells(line))
        rows.append(Row(header))
    return rows


def quantities_of(
    line: str, numbers: Sequence[Number], tolerances: Tolerances, row: Row = Row()
) -> list[Quantity | None]:
    """Tell which quantity each number of a line is.

    It is the count or label that directly follows a whole number ("84 errors", "10 epochs",
    "95 % interval"), or else the last name before it; in a table, the last name in its
    own cell before it, in its column's header, or in its row's first cell.

    Args:
        line: one line.
        numbers: the numbers in it, as `find_numbers` returns them.
        tolerances: the quantities and their names.
        row: the table around it, if there is one.

    Returns:
        One quantity per number; None for a number without a name, which has to be equal.
    """
    names = tolerances.names_in(line)
    found: list[Quantity | None] = []
    for index, number in enumerate(numbers):
        follower = _follower(line, number, names)
        total = index > 0 and _OUT_OF.fullmatch(line[numbers[index - 1].end : number.start])
        if follower is not None and follower.quantity.unit == "label":
            names = [name for name in names if name != follower]
        if total:
            found.append(None)
        elif follower is not None:
            found.append(follower.quantity)
        else:
            found.append(_name_before(line, number, names, tolerances, row))
    return found


def _follower(line: str, number: Number, names: Sequence[Name]) -> Name | None:
    """The count or label that directly follows a whole number, unless a name stands directly before it."""
    if not number.whole:
        return None
    for name in names:
        if name.end <= number.start and _BETWEEN.fullmatch(line[name.end : number.start]):
            return None
    unit = _PERCENT.match(line, number.end)
    end = unit.end() if unit else number.end
    for name in names:
        if name.start > end and line[end : name.start].isspace() and name.quantity.unit in ("count", "label"):
            return name
    return None


def _name_before(line: str, number: Number, names: Sequence[Name], tolerances: Tolerances, row: Row) -> Quantity | None:
    if not row.header:
        return _last([name.quantity for name in names if name.end <= number.start], number)
    before = line[: number.start]
    column = len(row_cells(before)) - 1
    own = len(before) - len(row_cells(before)[-1])
    header = row.header[column] if column < len(row.header) else ""
    label = row_cells(line)[1] if column > 1 else ""
    return (
        _last([name.quantity for name in names if own <= name.start and name.end <= number.start], number)
        or _last([name.quantity for name in tolerances.names_in(header)], number)
        or _last([name.quantity for name in tolerances.names_in(label)], number)
    )


def _last(quantities: Sequence[Quantity], number: Number) -> Quantity | None:
    """The last quantity that this number can be: a label names whole things, never 0.99 or 99 %."""
    for quantity in reversed(quantities):
        if quantity.unit != "label" or (number.whole and not number.percent):
            return quantity
    return None


def allowed_difference(
    number: Number, quantity: Quantity | None, comparison_class: str, tolerances: Tolerances
) -> Decimal:
    """Tell how far a new number may lie from a stored one, apart from rounding.

    A whole number has a tolerance only where things are counted: the 10 in
    "loss after run 10" is no loss.

    Args:
        number: the stored number.
        quantity: what it is; None if nothing says so.
        comparison_class: exact, close or trained.
        tolerances: the quantities.

    Returns:
        The tolerance in the unit of the quantity; 0 if the number has to be equal.
    """
    if quantity is not None and quantity.unit == "count" and number.percent:
        quantity = tolerances.quantities.get(quantity.percent_as or "")
    if quantity is None or comparison_class not in quantity.tolerances:
        return Decimal(0)
    if number.whole and not number.percent and quantity.unit != "count":
        return Decimal(0)
    return quantity.tolerances[comparison_class].at(number.value)


def is_within(stored: Number, new: Number, allowed: Decimal) -> bool:
    """Whether two printed numbers can come from values that differ by the allowed amount.

    Printing rounds, so values on two sides of a rounding boundary differ by one unit in the
    last place however near they are: 0.12345 and 0.1234499 print as 0.1235 and 0.1234. What is printed in percent
    keeps its number of digits.
    """
    if allowed == 0:
        return stored.raw == new.raw
    if stored.sign != new.sign or (stored.percent and stored.last_place != new.last_place):
        return False
    difference = abs(new.value - stored.value)
    if stored.whole and new.whole and not stored.percent:
        return difference <= allowed
    return difference < allowed + min(stored.last_place, new.last_place)
