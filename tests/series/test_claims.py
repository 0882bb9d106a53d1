"""What lessons 04 and 05 say in words about the trained network still fits the numbers that they print."""

import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CELLS = {
    cell.id: cell
    for name in ("04_train.ipynb", "05_evaluate.ipynb")
    for cell in nbformat.read(NOTEBOOKS / name, as_version=4).cells
}
TEXT = "\n".join(cell.source for cell in CELLS.values() if cell.cell_type == "markdown")


def numbers(cell: str, pattern: str) -> list[float]:
    """The numbers that groups of a pattern find in a cell's printed output."""
    printed = "".join(output.get("text", "") for output in CELLS[cell].outputs)
    match = re.search(pattern, printed)
    assert match, f"{cell} does not print {pattern!r}"
    return [float(group.replace(",", "")) for group in match.groups()]


def says(words: str) -> None:
    assert words in TEXT, f"no lesson says {words!r} any more: mend this test"


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
    for name in ("below 90%", "90 to 99%", "99 to 99.9%", "above 99.9%"):
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


def test_lesson_04_is_overfitting_without_harm():
    training, new = numbers(
        "overfitting-answer", r"training images: +loss ([\d.]+)[\s\S]*validation images: loss ([\d.]+)"
    )
    says("six to nine times as much")
    assert 6 <= new / training <= 9
    losses = [float(text) for text in re.findall(r"val_loss: ([\d.]+)", CELLS["reference"].outputs[0].text)]
    says("it falls for four epochs, from 0.055 to 0.033")
    assert losses[:4] == sorted(losses[:4], reverse=True)
    assert (round(losses[0], 3), round(losses[3], 3)) == (0.055, 0.033)
    says("between 0.03 and 0.04 without a direction")
    assert all(0.03 <= loss <= 0.04 for loss in losses[4:])


def test_lesson_04_would_have_stopped_early():
    stopped, kept, early = numbers(
        "early-stopping", r"after epoch (\d+), keeps epoch (\d+): validation accuracy ([\d.]+)"
    )
    (last,) = numbers("early-stopping", r"the recipe .* accuracy ([\d.]+)")
    says("stopped after 5 epochs and kept the fourth")
    assert (stopped, kept) == (5, 4)
    says("costs 0.25 points of accuracy, which is 15 images of 6,000")
    assert round((last - early) * 6000) == 15
