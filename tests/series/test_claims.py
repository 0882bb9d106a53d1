"""What lesson 05 says in words about the shipped network still fits the numbers that it prints."""

import re
from pathlib import Path

import nbformat
import pytest

PATH = Path(__file__).parents[2] / "notebooks" / "05_evaluate.ipynb"
CELLS = {cell.id: cell for cell in nbformat.read(PATH, as_version=4).cells}
TEXT = "\n".join(cell.source for cell in CELLS.values() if cell.cell_type == "markdown")


def numbers(cell: str, pattern: str) -> list[float]:
    """The numbers that groups of a pattern find in a cell's printed output."""
    printed = "".join(output.get("text", "") for output in CELLS[cell].outputs)
    match = re.search(pattern, printed)
    assert match, f"{cell} does not print {pattern!r}"
    return [float(group.replace(",", "")) for group in match.groups()]


def says(words: str) -> None:
    assert words in TEXT, f"lesson 05 no longer says {words!r}: mend this test"


def test_errors_in_a_thousand():
    errors, images = numbers("errors", r"(\d+) errors among ([\d,]+)")
    says("misses about eight")
    assert round(errors / images * 1000) == 8


def test_students_make_more_errors_and_neither_half_is_like_the_whole():
    first, second = numbers("writers-run", r"first half: (\d+) errors.*\n.*second half: (\d+) errors")
    says("nearly four times as many errors")
    assert 3.5 <= first / second < 4
    low, high = numbers("accuracy-interval", r"interval ([\d.]+)% to ([\d.]+)%")
    halves = numbers("writers-run", r"accuracy ([\d.]+)%[\s\S]*accuracy ([\d.]+)%")
    says("**neither** accuracy lies inside the interval of the whole")
    assert not any(low <= half <= high for half in halves)


def test_both_promises_are_exceeded():
    training, test = numbers("promised", r"measured ([\d.]+)%[\s\S]*measured ([\d.]+)%")
    says("Both are **above** what was promised")
    assert training > 98 and test > 99


def test_share_of_errors_on_disputed_labels():
    disputed, errors = numbers("disputed-count", r"(\d+) of (\d+) errors")
    says("about one error in eight")
    assert 1 / 9 < disputed / errors < 1 / 7


def test_how_much_too_sure():
    claimed, made = numbers("surest", r"([\d.]+) mistakes claimed, (\d+) mistakes made")
    (disputed,) = numbers("surest", r"of these mistakes, (\d+)")
    images, claims = numbers("calibration", r"99 to 99.9% +([\d,]+) +([\d.]+)")
    says("**eleven times**")
    assert made / claimed == pytest.approx(11, abs=0.6)
    says("Five of the sixteen are on disputed labels; without those it is still more than seven times")
    assert (disputed, made) == (5, 16)
    assert (made - disputed) / claimed > 7
    (lucky,) = numbers("luck", r"at most (\d+) mistakes in 95%")
    says("No, it is not luck")
    assert lucky < made
    (error,) = numbers("luck", r"calibration error: ([\d.]+)")
    says("It is about 0.4 points here")
    assert round(error * 100, 1) == 0.4


def test_every_group_claims_too_little():
    says("All dots lie above the line")
    for name in ("below 90%", "90 to 99%", "99 to 99.9%", "99.9 to 99.99%", "above 99.99%"):
        _, claimed, made = numbers("calibration", rf"{name} +([\d,]+) +([\d.]+) +(\d+)")
        assert made > claimed


def test_what_handing_over_one_digit_in_twenty_gains():
    (coverage,) = numbers("coverage-numbers", r"coverage ([\d.]+)%")
    human, errors = numbers("coverage-numbers", r"(\d+) of all (\d+) errors")
    says("By handing over one digit in twenty the bank gets rid of five errors in six")
    assert coverage == pytest.approx(95, abs=0.5)
    assert human / errors == pytest.approx(5 / 6, abs=0.03)


def test_what_is_no_digit_is_read_as_one():
    empty, noise, square = numbers(
        "no-digit-run", r"probability ([\d.]+)%[\s\S]*probability ([\d.]+)%[\s\S]*probability ([\d.]+)%"
    )
    (threshold,) = numbers("threshold", r"below ([\d.]+)")
    says("The empty page leaves it undecided")
    assert empty < 15 < 50 < min(noise, square)
    says("would have sent all three to a human")
    assert max(empty, noise, square) / 100 < threshold
