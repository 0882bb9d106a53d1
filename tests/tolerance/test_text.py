"""Two texts: to the letter, numbers within tolerance, and what is said about a difference."""

import pytest

from nbval_tolerance import load_tolerances
from nbval_tolerance.text import Check, compare_text


def compared(stored, new, kind, tolerances, **options):
    return compare_text(stored, new, Check(kind, tolerances, **options))


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        ("accuracy 0.9913", "accuracy 0.9953"),  # 0.0040 apart
        ("accuracy 99.13 %", "accuracy 98.73 %"),
        ("accuracy 98.9–99.3 %", "accuracy 98.6–99.0 %"),
        ("loss 0.2000", "loss 0.2300"),  # 15 %
        ("loss 0.0020", "loss 0.0030"),
        ("84 errors", "94 errors"),
        ("errors:  94.", "errors: 102."),  # a column of fixed width
        ("| a   | loss |", "| a | loss |"),  # blanks between words move when a column becomes wider
        ("loss [0.2   0.25 ]", "loss [0.21  0.251]"),  # NumPy
        ("loss 2.000e-01, 3.", "loss 2.100e-01, 3."),
        ("1875/1875 - 36s - 19ms/step - loss: 0.20", "1875/1875 - 9s - 5ms/step - loss: 0.21"),
        (
            "| accuracy | errors |\n| --- | ---: |\n| 0.9913 | 84 |",
            "| accuracy | errors |\n| --- | ---: |\n| 0.9923 | 90 |",
        ),
        ("| accuracy (%) |\n| --- |\n| 99.13 |", "| accuracy (%) |\n| --- |\n| 98.93 |"),
        ("| | MLP |\n| --- | --- |\n| accuracy | 0.9913 |", "| | MLP |\n| --- | --- |\n| accuracy | 0.9923 |"),
    ],
)
def test_numbers_within_tolerance_pass(stored, new, tolerances):
    assert compared(stored, new, "trained", tolerances) == []


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        ("accuracy 0.9913", "accuracy 0.9954"),  # 0.0041 apart
        ("accuracy 99.13 %", "accuracy 98.72 %"),
        ("accuracy 98.9–99.3 %", "accuracy 98.3–99.3 %"),
        ("loss 0.2000", "loss 0.2400"),  # 20 %
        ("84 errors", "95 errors"),
        ("accuracy 0.9913", "accuracy nan"),
        ("loss nan", "loss inf"),
        ("loss 0.0001", "loss -0.0001"),
        ("accuracy 0.9913", "accuracy 0.9913 0.9913"),
        ("accuracy 0.99, 0.99", "accuracy 0.99"),
        ("accuracy 99.13 %", "accuracy 99.13"),
        ("accuracy 0.9913", "recall 0.9913"),
        ("value 0.9913", "value 0.9914"),  # no quantity, and the class has no tolerance
        ("0.9913 accuracy", "0.9914 accuracy"),
        ("errors 84 of 10,000", "errors 84 of 10,001"),
        ("10 epochs: accuracy 0.99", "11 epochs: accuracy 0.99"),
        ("accuracy 99.1 % (95 % interval)", "accuracy 99.1 % (96 % interval)"),
        ("loss 0.5", "loss 0.59"),  # a shorter number is not a coarser one
        ("accuracy 0.99", "accuracy 0.99\n"),
        ("1875/1875 - 36s - 19ms/step - loss: 0.20", "1875/1875 - 9s - 5ms/step - loss: 0.30"),
        ("| epoch | accuracy |\n| --- | --- |\n| 3 | 0.9913 |", "| epoch | accuracy |\n| --- | --- |\n| 4 | 0.9913 |"),
        ("| accuracy | n |\n| --- | --- |\n| 0.99 | 84 |", "| accuracy | n |\n| --- | --- |\n| 0.99 | 85 |"),
    ],
)
def test_what_is_outside_tolerance_fails(stored, new, tolerances):
    assert len(compared(stored, new, "trained", tolerances)) == 1


@pytest.mark.parametrize(
    ("stored", "new"),
    [("0.5", "0.50"), ("1,234", "1234"), ("84 errors", "85 errors"), ("a  1", "a 1"), ("a\n", "a"), ("x", "y")],
)
def test_exact_text_is_compared_to_the_letter(stored, new, tolerances):
    assert len(compared(stored, new, "exact", tolerances)) == 1


@pytest.mark.parametrize("kind", ["exact", "trained"])
def test_volatile_parts_are_compared_in_no_class_unless_asked_for(kind, tolerances):
    pair = "done in 1.2 s\n<A at 0x7f0998ab5250>", "done in 85 s\n<A at 0x7f1111ab5250>"
    assert compared(*pair, kind, tolerances) == []
    assert len(compared(*pair, kind, load_tolerances(compared=["durations", "addresses"]))) == 2


def test_classes_without_any_quantity():
    tolerances = load_tolerances(rtol="1e-3", classes=["mine: atol=0.5"])
    pair = "coef 12.345, n 100", "coef 12.346, n 100"
    for kind in ("untagged", "mine", "trained", "rtol=1e-4"):
        assert compared(*pair, kind, tolerances) == []
    for kind in ("exact", "close", "atol=1e-4"):
        assert len(compared(*pair, kind, tolerances)) == 1
    assert len(compared("n 100", "n 101", "untagged", tolerances)) == 1  # a whole number is counted, not measured


def test_a_number_is_reported_in_one_line(tolerances):
    (finding,) = compared("a\ntest accuracy 99.13 %", "a\ntest accuracy 98.63 %", "trained", tolerances)
    assert str(finding) == (
        "line 2: accuracy: stored 99.13 %, new 98.63 %, difference -0.005, tolerance 0.004 (trained)"
    )
    (finding,) = compared("loss 0.01", "loss -0.01", "close", tolerances)
    assert "sign changed" in str(finding)


def test_every_number_can_be_asked_for(tolerances):
    findings = compared("loss 0.20, accuracy 0.99", "loss 0.20, accuracy 0.90", "trained", tolerances, every=True)
    assert [finding.passed for finding in findings] == [True, False]
    assert "tolerance 0.03" in str(findings[0])


def test_text_is_reported_around_the_first_difference(tolerances):
    (finding,) = compared("a" * 100 + "b" + "c" * 100, "a" * 100 + "B" + "c" * 100, "exact", tolerances)
    assert "b" in str(finding) and "B" in str(finding)
    assert len(str(finding)) < 200 and "\n" not in str(finding)
