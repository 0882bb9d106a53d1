"""Find the numbers that a text prints, tell which quantity each of them is, and compare two of them."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from nbval_tolerance.tolerances import Name, Quantity, Tolerances

# A number is part of the text when it is glued to a word (float32, F1, Conv2D, 10k, AVX-512), to a × (28×28) or to
# another dot (3.11.2). NumPy prints whole floats with a dot, "[1. 2.5]"; the dot that ends a sentence is no part of a
# number. The groups (?>…) give no characters back: without them, 3 of the 32 in "32x" would count as a number.
_NUMBER = re.compile(
    r"""(?<![\w.×]) (?<![^\W\d]-)
    [+−-]?
    (?>(?: \d{1,3}(?:,\d{3})+(?!\d) | \d+ ) (?: \.\d+ | \.(?=[eE][+-]?\d | \s*[\],)] | \s+[+−-]?[.\d]) )? | \.\d+)
    (?>(?:[eE][+−-]?\d+)?)
    (?![\w×]) (?!\.\d)""",
    re.VERBOSE,
)
# \s includes the no-break spaces that are usual before the percent sign.
_PERCENT = re.compile(r"\s?(?:%|percent\b|(?:percentage )?points?\b)")
_RANGE = re.compile(r"\s?(?:[–…±-]|to)\s?")  # 98.9–99.3 %: the sign counts for both
_OUT_OF = re.compile(r"\s*(?:/|of|out of)\s*(?:the\s+)?")  # 9,913 of 10,000: the total is no result
_BETWEEN = re.compile(r"[\s:=≈~(*`|_\"]*")  # what may stand between a name and its number


class Number(NamedTuple):
    """A number as printed (`raw`), where it stands in its line, and whether it is in % or percentage points."""

    raw: str
    start: int = 0
    end: int = 0
    percent: bool = False

    @property
    def sign(self) -> str:
        return self.raw[0] if self.raw[0] in "+-−" else ""

    @property
    def whole(self) -> bool:
        return re.fullmatch(r"[+−-]?[\d,]+", self.raw) is not None

    @property
    def value(self) -> Decimal:
        """Its value in the unit of the quantity: 99.1 % is 0.991."""
        return Decimal(self.raw.replace(",", "").replace("−", "-")).scaleb(-2 if self.percent else 0)

    @property
    def last_place(self) -> Decimal:
        """One unit in the last printed place, in the unit of the quantity."""
        return Decimal(1).scaleb(int(self.value.as_tuple().exponent))


def find_numbers(line: str, header: Sequence[str] = ()) -> list[Number]:
    """Find the numbers in a line ("Conv2D on 28×28: 1,234 errors, −0.5 or 2e-7" has three), from left to right.

    With the header of the table around the line, numbers under "accuracy (%)" are in percent.
    """
    found: list[Number] = []
    for match in reversed(list(_NUMBER.finditer(line))):
        percent = bool(_PERCENT.match(line, match.end())) or "%" in _column(header, line[: match.start()])
        if found and _RANGE.fullmatch(line[match.end() : found[0].start]):
            percent = percent or found[0].percent
        found.insert(0, Number(match[0], match.start(), match.end(), percent))
    return found


def _row_cells(line: str) -> list[str]:
    """The cells of a Markdown table row, with an empty first one before the leading bar."""
    return re.split(r"(?<!\\)\|", line)


def _column(header: Sequence[str], before: str) -> str:
    """The header of the column that follows this beginning of a row."""
    return dict(enumerate(header)).get(len(_row_cells(before)) - 1, "")


def table_headers(lines: Sequence[str]) -> list[Sequence[str]]:
    """For each line, the header cells of the Markdown table that it stands in; empty outside of tables."""
    headers: list[Sequence[str]] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if re.fullmatch(r"\s*\|[\s:|-]*-[\s:|-]*", following) and "|" in line:
            headers.append(_row_cells(line))
        else:
            headers.append(headers[-1] if headers and line.lstrip().startswith("|") else ())
    return headers


def quantities_of(
    line: str, numbers: Sequence[Number], tolerances: Tolerances, header: Sequence[str] = ()
) -> list[Quantity | None]:
    """Tell which quantity each number of a line is; None for a number without a name.

    It is the count or label that directly follows a whole number ("84 errors", "10 epochs", "95 % interval"), or else
    the last name before it; in a table, the last name in its own cell before it, in its column's header, or in its
    row's first cell.
    """
    names = tolerances.names_in(line)
    found: list[Quantity | None] = []
    for index, number in enumerate(numbers):
        follower = _follower(line, number, names)
        if follower is not None and follower.quantity.unit == "label":
            names.remove(follower)
        if index > 0 and _OUT_OF.fullmatch(line[numbers[index - 1].end : number.start]):
            found.append(None)
        elif follower is not None:
            found.append(follower.quantity)
        elif not header:
            found.append(_last(number, [name for name in names if name.end <= number.start]))
        else:
            before = line[: number.start]
            own = len(before) - len(_row_cells(before)[-1])
            label = _row_cells(line)[1] if len(_row_cells(before)) > 2 else ""
            cell = [name for name in names if own <= name.start and name.end <= number.start]
            found.append(_last(number, cell, *(tolerances.names_in(text) for text in (_column(header, before), label))))
    return found


def _follower(line: str, number: Number, names: Sequence[Name]) -> Name | None:
    """The count or label that directly follows a whole number, unless a name stands directly before it."""
    before = [name for name in names if name.end <= number.start]
    if not number.whole or any(_BETWEEN.fullmatch(line[name.end : number.start]) for name in before):
        return None
    unit = _PERCENT.match(line, number.end)
    end = unit.end() if unit else number.end
    after = [name for name in names if name.start > end and line[end : name.start].isspace()]
    return next((name for name in after if name.quantity.unit in ("count", "label")), None)


def _last(number: Number, *places: Sequence[Name]) -> Quantity | None:
    """The last quantity in the first place with one that this number can be: a label is never 0.99 or 99 %."""
    whole = number.whole and not number.percent
    names = [name for place in places for name in reversed(place)]
    return next((name.quantity for name in names if whole or name.quantity.unit != "label"), None)


def allowed_difference(number: Number, quantity: Quantity | None, kind: str, tolerances: Tolerances) -> Decimal:
    """Tell how far a new number may lie from a stored one, in the unit of the quantity; 0 if it has to be equal.

    The larger of atol and rtol × |stored| counts. For a whole number rtol counts only where things are counted: the 10
    in "loss after run 10" is no loss, and the 60000 of a shape is no measurement.
    """
    counted = quantity is not None and quantity.unit == "count"
    if kind == "exact" or (quantity is not None and quantity.unit == "label"):
        return Decimal(0)
    tolerance = tolerances.tolerance(kind, None if counted and number.percent else quantity)
    relative = counted or number.percent or not number.whole
    return max(tolerance.atol, tolerance.rtol * abs(number.value)) if relative else tolerance.atol


def is_within(stored: Number, new: Number, allowed: Decimal, keep_sign: bool = False) -> bool:
    """Whether two printed numbers can come from values that differ by the allowed amount.

    Printing rounds: values that differ by less than one unit in the last place may be printed one unit apart. That
    unit comes on top only if the tolerance is at least half of it: a tolerance of 1e-6 makes no room for a threshold of
    0.999 to become 0.998. With `keep_sign`, a sign that comes or goes is a difference however small the numbers.
    """
    if allowed == 0 or (keep_sign and stored.sign != new.sign):
        return stored.raw == new.raw
    counted = stored.whole and new.whole and not stored.percent
    difference, unit = abs(new.value - stored.value), min(stored.last_place, new.last_place)
    return difference <= allowed or (not counted and 2 * allowed >= unit and difference < allowed + unit)
