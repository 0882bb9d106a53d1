"""Compare two texts: to the letter, except for volatile parts and, in tolerant classes, numbers."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, Self

from nbval_tolerance.numbers import Number, allowed_difference, find_numbers, is_within, quantities_of, table_headers
from nbval_tolerance.tolerances import Quantity, Tolerances


class Finding(NamedTuple):
    """One difference: the place (notebook, cell, output, line, as far as known) and what differs, in one line.

    `passed` is True for a number within its tolerance, which is listed only if every number was asked for.
    """

    place: str
    message: str
    passed: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message

    def within(self, place: str) -> Self:
        """The same finding, with the place it was found in put before its own."""
        return self._replace(place=", ".join(filter(None, (place, self.place))))


class Check(NamedTuple):
    """How one cell is compared: its class (`kind`), what may differ, whether every number is reported, pictures."""

    kind: str
    tolerances: Tolerances
    every: bool = False
    pictures: Path | None = None

    @property
    def tolerant(self) -> bool:
        return self.kind != "exact"


def compare_text(stored: str, new: str, check: Check) -> list[Finding]:
    """Compare two texts: one finding per line that differs in its words, one per number outside its tolerance."""
    if stored == new and not check.every:
        return []
    stored, new = check.tolerances.volatile.hide(stored), check.tolerances.volatile.hide(new)
    stored_lines, new_lines = stored.split("\n"), new.split("\n")
    if len(stored_lines) != len(new_lines):
        counts = f"{len(stored_lines)} lines stored, {len(new_lines)} new"
        return [Finding("", f"{counts}; {first_difference(stored, new)}")]
    findings = []
    for index, header in enumerate(table_headers(stored_lines)):
        place = f"line {index + 1}" if len(stored_lines) > 1 else ""
        found = _compare_line(stored_lines[index], new_lines[index], header, check)
        findings += [one.within(place) for one in found if check.every or not one.passed]
    return findings


def _compare_line(stored: str, new: str, header: Sequence[str], check: Check) -> list[Finding]:
    if stored == new and not check.every:
        return []
    old_numbers, new_numbers = find_numbers(stored, header), find_numbers(new, header)
    findings = []
    if _words(stored, old_numbers) == _words(new, new_numbers):
        quantities = quantities_of(stored, old_numbers, check.tolerances, header)
        pairs = zip(old_numbers, new_numbers, quantities, strict=True)
        findings = [compare_numbers(old, fresh, quantity, check) for old, fresh, quantity in pairs]
        if check.tolerant or stored == new or not all(finding.passed for finding in findings):
            return findings
    return [Finding("", first_difference(stored, new))]


def _words(line: str, numbers: Sequence[Number]) -> list[str]:
    """The text before, between and after the numbers. Blanks that align a column depend on the numbers' lengths."""
    ends = [0, *(number.end for number in numbers)]
    starts = [*(number.start for number in numbers), len(line)]
    return [" ".join(line[end:start].split()) for end, start in zip(ends, starts, strict=True)]


def compare_numbers(
    old: Number, new: Number, quantity: Quantity | None, check: Check, slack: Decimal | None = None
) -> Finding:
    """Compare two numbers; the finding says whether they passed.

    What is printed is rounded; what a description holds is not, and may differ by `slack` more than the tolerance.
    """
    allowed = allowed_difference(old, quantity, check.kind, check.tolerances) + (slack or 0)
    passed = is_within(old, new, allowed, keep_sign=quantity is not None)
    if slack is not None:
        passed = abs(new.value - old.value) <= allowed
    name, percent = quantity.name if quantity else "number without a quantity", " %" if old.percent else ""
    sign = ", sign changed" if not passed and old.sign != new.sign else ""
    limit = f"{float(allowed):g}" if allowed else "0, has to be equal"
    values = f"stored {old.raw}{percent}, new {new.raw}{percent}, difference {float(new.value - old.value):+g}{sign}"
    return Finding("", f"{name}: {values}, tolerance {limit} ({check.kind})", passed)


def first_difference(stored: str, new: str, around: int = 30) -> str:
    """Both texts around the first character that differs, short enough for one line."""
    first = next((i for i, (a, b) in enumerate(zip(stored, new, strict=False)) if a != b), min(len(stored), len(new)))
    start, end = max(0, first - around), first + around
    parts = [f"{'…' * (start > 0)}{text[start:end]}{'…' * (end < len(text))}" for text in (stored, new)]
    return f"text differs: stored {parts[0]!r}, new {parts[1]!r}"
