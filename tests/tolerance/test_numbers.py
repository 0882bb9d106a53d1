"""Which numbers a line prints, what they are, and how far they may move."""

from decimal import Decimal

import pytest

from nbval_tolerance.numbers import Number, allowed_difference, find_numbers, is_within, quantities_of


def raws(line):
    return [number.raw for number in find_numbers(line)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("loss -0.5, +0.3 and −2", ["-0.5", "+0.3", "−2"]),
        ("1,234,567 images", ["1,234,567"]),
        ("1,2 and 12,34", ["1", "2", "12", "34"]),  # no thousands: a comma between two numbers
        ("1234,567", ["1234", "567"]),
        ("(60000, 28, 28)", ["60000", "28", "28"]),
        ("9e-07, 1.5E+3, 2e−6", ["9e-07", "1.5E+3", "2e−6"]),
        ("10-20 and 98.9–99.3", ["10", "20", "98.9", "99.3"]),  # a range has no negative end
        ("x=0.25;y=.75", ["0.25", ".75"]),
        ("**0.99** `0.98` |0.97|", ["0.99", "0.98", "0.97"]),
        ("It ends at 3.", ["3"]),
        ("[1. 2.5 3.]", ["1.", "2.5", "3."]),  # NumPy's whole floats
        ("[1.e-05 2.]", ["1.e-05", "2."]),
        ("<td>0.25</td>", ["0.25"]),
    ],
)
def test_numbers_are_found(line, expected):
    assert raws(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "Conv2D",
        "float32",
        "F1",
        "28×28",
        "28x28",
        "3rd",
        "10k",
        "AVX-512",
        "top-5",
        "3.11.2",
        "v2.21",
        "nan inf",
        "a_1",
    ],
)
def test_numbers_in_words_are_text(line):
    assert raws(line) == []


@pytest.mark.parametrize(
    ("line", "value", "last_place"),
    [
        ("0.9913", "0.9913", "0.0001"),
        ("99.13 %", "0.9913", "0.0001"),
        ("99.13\u00a0%", "0.9913", "0.0001"),
        ("0.4 points", "0.004", "0.001"),
        ("0.4 percentage points", "0.004", "0.001"),
        ("1,234", "1234", "1"),
        ("−2.50", "-2.50", "0.01"),
        ("1.2e-07", "1.2e-7", "1e-8"),
    ],
)
def test_values_and_last_places(line, value, last_place):
    (number,) = find_numbers(line)
    assert number.value == Decimal(value)
    assert number.last_place == Decimal(last_place)


def test_both_ends_of_a_range_have_its_unit():
    assert [number.percent for number in find_numbers("98.9–99.3 %, 98.9 to 99.3 %, 99.1 ± 0.2 %")] == [True] * 6
    assert [number.percent for number in find_numbers("0.98, 99 %")] == [False, True]


def test_whole_numbers():
    assert [Number(raw).whole for raw in ("84", "1,234", "-3", "84.0", "84.", "1e3", ".5")] == [True] * 3 + [False] * 4


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("accuracy 0.99 loss 0.03", [("0.99", "accuracy"), ("0.03", "loss")]),
        ("0.5 accuracy", [("0.5", None)]),
        ("val_accuracy=0.99, Validation-Loss 0.03", [("0.99", "accuracy"), ("0.03", "loss")]),
        ("inaccuracy 0.99, lossless 3", [("0.99", None), ("3", None)]),
        ("calibration error 0.003", [("0.003", "calibration error")]),
        ("84 errors, error 84", [("84", "errors"), ("84", "errors")]),
        ("loss 0.03 errors", [("0.03", "loss")]),  # 0.03 cannot be counted
        ("loss 2 errors 3", [("2", "loss"), ("3", "errors")]),  # the name directly before wins
        ("errors: 84 of 10,000", [("84", "errors"), ("10,000", None)]),
        ("errors: 84/10000 (0.84 %)", [("84", "errors"), ("10000", None), ("0.84", "errors")]),
        ("errors after 10 epochs: 84", [("10", "label"), ("84", "errors")]),
        ("accuracy on the test images: 99 %", [("99", "accuracy")]),
        (
            "accuracy 99.1 % (95 % interval 98.9 to 99.3 %)",
            [("99.1", "accuracy"), ("95", "label"), ("98.9", "accuracy"), ("99.3", "accuracy")],
        ),
        ("loss of image 340: 0.5", [("340", "label"), ("0.5", "loss")]),
    ],
)
def test_quantities(line, expected, tolerances):
    numbers = find_numbers(line)
    found = quantities_of(line, numbers, tolerances)
    assert [
        (number.raw, quantity and quantity.name) for number, quantity in zip(numbers, found, strict=True)
    ] == expected


@pytest.mark.parametrize(
    ("line", "kind", "expected"),
    [
        ("accuracy 0.9913", "trained", "0.004"),
        ("accuracy 99.13 %", "trained", "0.004"),
        ("accuracy 0.9913", "close", "1e-5"),
        ("accuracy 0.9913", "exact", "0"),
        ("loss 0.2", "trained", "0.03"),  # 15 % of 0.2
        ("loss 0.002", "trained", "0.001"),  # atol is larger than 15 % of 0.002
        ("loss 60000", "trained", "0.001"),  # a whole number is no measurement: rtol does not count
        ("84 errors", "trained", "10"),
        ("84 errors", "close", "0"),  # no tolerance of its own, and the class has none
        ("epoch 3", "trained", "0"),
        ("epoch 3", "loose", "0"),  # a label has to be equal in every class
        ("0.5", "loose", "2"),
        ("50.0", "loose", "5"),
        ("50", "loose", "2"),
        ("loss 50.0", "loose", "5"),  # a quantity without this class has the class's tolerance
        ("0.5", "rtol=0.01", "0.005"),
        ("loss 0.5", "rtol=0.01 atol=1", "1"),  # a cell's own tolerance goes before that of quantities
    ],
)
def test_allowed_differences(line, kind, expected, tolerances):
    (number,) = find_numbers(line)
    (quantity,) = quantities_of(line, [number], tolerances)
    assert allowed_difference(number, quantity, kind, tolerances) == Decimal(expected)


@pytest.mark.parametrize(
    ("stored", "new", "allowed", "within"),
    [
        ("0.5", "0.50", "0", False),
        ("0.500", "0.504", "0.004", True),
        ("0.500", "0.505", "0.004", False),
        # One unit in the last place on top, but only for a tolerance of at least half of it
        ("0.5", "0.6", "0.05", True),
        ("0.5", "0.6", "0.04", False),
        ("0.5", "0.7", "0.05", False),
        ("0.999", "0.998", "1e-6", False),  # a threshold
        ("0.123457", "0.123456", "1e-6", True),
        ("84", "94", "10", True),
        ("84", "95", "10", False),  # whole numbers are not rounded
        ("-1e-17", "3e-17", "1e-8", True),
    ],
)
def test_within(stored, new, allowed, within):
    assert is_within(Number(stored), Number(new), Decimal(allowed)) is within
    assert is_within(Number(new), Number(stored), Decimal(allowed)) is within


def test_a_sign_that_comes_or_goes_counts_where_a_quantity_is_named():
    pair = Number("0.0001"), Number("-0.0001")
    assert is_within(*pair, Decimal("0.001"))
    assert not is_within(*pair, Decimal("0.001"), keep_sign=True)
