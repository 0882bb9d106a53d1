"""The comparison of outputs: what it lets pass and what it finds.

The tests use tolerances of their own (below), in round numbers, so that every expected value can
be worked out from them; the last section checks the file that the project uses.
"""

import base64
import io
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import nbformat
import numpy as np
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from digits_helpers import cli, verify
from digits_helpers.verify import (
    Number,
    VerifyError,
    allowed_difference,
    compare_outputs,
    compare_png,
    compare_text,
    comparison_class,
    decode_png,
    figure_difference,
    find_numbers,
    json_lines,
    load_tolerances,
    quantities_of,
    stale_cells,
    stamp_sources,
    verify_notebooks,
)

TOLERANCES = """
[figures]
close = { difference = 2.0 }
trained = { difference = 20.0, room = 3 }

[quantity.accuracy]
names = ["accuracy"]
unit = "fraction"
close = { absolute = 1e-5 }
trained = { absolute = 0.004 }

[quantity.loss]
names = ["loss", "validation loss"]
unit = "number"
close = { absolute = 1e-5 }
trained = { absolute = 0.001, relative = 0.15 }

[quantity."error rate"]
names = ["error rate"]
unit = "fraction"
trained = { absolute = 0.004 }

[quantity.errors]
names = ["errors", "error"]
unit = "count"
percent_as = "error rate"
trained = { absolute = 10 }

[quantity."calibration error"]
names = ["calibration error"]
unit = "fraction"
close = { absolute = 1e-5 }

[quantity.label]
names = ["epoch", "epochs", "image", "images", "test images", "interval"]
unit = "label"
"""


@pytest.fixture(scope="module")
def tolerances(tmp_path_factory):
    path = tmp_path_factory.mktemp("tolerances") / "tolerances.toml"
    path.write_text(TOLERANCES, encoding="utf-8")
    return load_tolerances(path)


def raws(line):
    return [number.raw for number in find_numbers(line)]


def named(line, tolerances):
    """The numbers of a line with the names of their quantities."""
    numbers = find_numbers(line)
    found = quantities_of(line, numbers, tolerances)
    return [(number.raw, quantity and quantity.name) for number, quantity in zip(numbers, found)]


# ---------------------------------------------------------------------------------------------
# Numbers


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0.5", ["0.5"]),
        (".5", [".5"]),
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
        "UTF-8",
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
        ("99.13%", "0.9913", "0.0001"),
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
    assert [Number(raw, 0, 1).whole for raw in ("84", "1,234", "-3", "84.0", "1e3", ".5")] == [True] * 3 + [False] * 3


# ---------------------------------------------------------------------------------------------
# Quantities


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("accuracy 0.99 loss 0.03", [("0.99", "accuracy"), ("0.03", "loss")]),
        ("0.5 accuracy", [("0.5", None)]),
        ("Accuracy: 0.99", [("0.99", "accuracy")]),
        ("val_accuracy=0.99", [("0.99", "accuracy")]),
        ("Validation-Loss 0.03", [("0.03", "loss")]),
        ("inaccuracy 0.99, lossless 3", [("0.99", None), ("3", None)]),
        ("calibration error 0.003", [("0.003", "calibration error")]),
        ("84 errors", [("84", "errors")]),
        ("error 84", [("84", "errors")]),
        ("loss 0.03 errors", [("0.03", "loss")]),  # 0.03 cannot be counted
        ("loss 2 errors 3", [("2", "loss"), ("3", "errors")]),  # the name directly before wins
        ("errors: 84 of 10,000", [("84", "errors"), ("10,000", None)]),
        ("errors: 84/10000 (0.84 %)", [("84", "errors"), ("10000", None), ("0.84", "errors")]),
        ("an accuracy of 0.99", [("0.99", "accuracy")]),
        ("accuracy after 10 epochs: 0.99", [("10", "label"), ("0.99", "accuracy")]),
        ("accuracy on 10,000 test images: 0.99", [("10,000", "label"), ("0.99", "accuracy")]),
        ("accuracy on the test images: 0.99", [("0.99", "accuracy")]),
        ("errors after 10 epochs: 84", [("10", "label"), ("84", "errors")]),
        ("error rate 0.0084", [("0.0084", "error rate")]),  # the longer of two names that begin alike
        ("accuracy on the test images: 99 %", [("99", "accuracy")]),
        (
            "accuracy 99.1 % (95 % interval 98.9 to 99.3 %)",
            [("99.1", "accuracy"), ("95", "label"), ("98.9", "accuracy"), ("99.3", "accuracy")],
        ),
        ("epoch 3 accuracy 0.99", [("3", "label"), ("0.99", "accuracy")]),
        ("loss of image 340: 0.5", [("340", "label"), ("0.5", "loss")]),
    ],
)
def test_quantities(line, expected, tolerances):
    assert named(line, tolerances) == expected


@pytest.mark.parametrize(
    ("line", "kind", "expected"),
    [
        ("accuracy 0.9913", "trained", "0.004"),
        ("accuracy 99.13 %", "trained", "0.004"),
        ("accuracy 0.9913", "close", "1e-5"),
        ("accuracy 0.9913", "exact", "0"),
        ("loss 0.2", "trained", "0.03"),  # 15 % of 0.2
        ("loss 0.002", "trained", "0.001"),  # the absolute one is larger than 15 % of 0.002
        ("loss 60000", "trained", "0"),  # a whole number is no loss
        ("accuracy 1", "trained", "0"),
        ("accuracy 99 %", "trained", "0.004"),
        ("84 errors", "trained", "10"),
        ("84 errors", "close", "0"),  # no tolerance for this class
        ("errors 0.84 %", "trained", "0.004"),  # percent_as
        ("epoch 3", "trained", "0"),
        ("3", "trained", "0"),
    ],
)
def test_allowed_differences(line, kind, expected, tolerances):
    (number,) = find_numbers(line)
    (quantity,) = quantities_of(line, [number], tolerances)
    assert allowed_difference(number, quantity, kind, tolerances) == Decimal(expected)


# ---------------------------------------------------------------------------------------------
# Text


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
        ("accuracy 0.99, loss 2e-1", "accuracy 0.99, loss 0.19"),
        (
            "| accuracy | errors |\n| --- | ---: |\n| 0.9913 | 84 |",
            "| accuracy | errors |\n| --- | ---: |\n| 0.9923 | 90 |",
        ),
        ("| accuracy (%) |\n| --- |\n| 99.13 |", "| accuracy (%) |\n| --- |\n| 98.93 |"),
        ("| | MLP |\n| --- | --- |\n| accuracy | 0.9913 |", "| | MLP |\n| --- | --- |\n| accuracy | 0.9923 |"),
    ],
)
def test_trained_numbers_within_tolerance_pass(stored, new, tolerances):
    assert compare_text(stored, new, "trained", tolerances) == []


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
        ("loss inf", "loss -inf"),
        ("loss 0.0001", "loss -0.0001"),
        ("loss 0.0001", "loss +0.0001"),
        ("accuracy 0.9913", "accuracy 0.9913 0.9913"),
        ("accuracy 0.99, 0.99", "accuracy 0.99"),
        ("accuracy 0.99 ", "accuracy 0.99 0.98"),
        ("accuracy 99.13 %", "accuracy 99.13"),
        ("accuracy 0.9913", "recall 0.9913"),
        ("value 0.9913", "value 0.9914"),  # no quantity
        ("0.9913 accuracy", "0.9914 accuracy"),
        ("errors 84 of 10,000", "errors 84 of 10,001"),
        ("10 epochs: accuracy 0.99", "11 epochs: accuracy 0.99"),
        ("accuracy 99.1 % (95 % interval)", "accuracy 99.1 % (96 % interval)"),
        ("loss 0.5", "loss 0.59"),  # a shorter number is not a coarser one: 0.075 allowed, and 0.01 for rounding
        ("accuracy 0.99", "accuracy  0.99"),
        ("accuracy 0.99", "accuracy 0.99\n"),
        ("| epoch | accuracy |\n| --- | --- |\n| 3 | 0.9913 |", "| epoch | accuracy |\n| --- | --- |\n| 4 | 0.9913 |"),
        ("| accuracy | n |\n| --- | --- |\n| 0.99 | 84 |", "| accuracy | n |\n| --- | --- |\n| 0.99 | 85 |"),
    ],
)
def test_trained_text_outside_tolerance_fails(stored, new, tolerances):
    assert len(compare_text(stored, new, "trained", tolerances)) == 1


@pytest.mark.parametrize(("new", "passes"), [("99.3%", True), ("99.21%", False), ("99%", False)])
def test_a_percentage_keeps_its_number_of_digits(new, passes, tolerances):
    assert (compare_text("accuracy 99.2%", f"accuracy {new}", "trained", tolerances) == []) is passes


def test_rounding_may_turn_the_smallest_difference_into_one_last_place(tolerances):
    # 0.12345 and 0.1234499 differ by 1e-7, less than the 1e-5 allowed, and print as 0.1235 and 0.1234
    assert compare_text("loss 0.1234", "loss 0.1235", "close", tolerances) == []
    assert len(compare_text("loss 0.1234", "loss 0.1236", "close", tolerances)) == 1
    assert compare_text("accuracy 98 %", "accuracy 99 %", "close", tolerances) == []
    assert len(compare_text("accuracy 98 %", "accuracy 100 %", "close", tolerances)) == 1


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        ("0.5", "0.50"),
        ("1,234", "1234"),
        ("84 errors", "85 errors"),
        ("a  1", "a 1"),
        ("a\n", "a"),
        ("loss 0.1", "loss 0.2"),
        ("x", "y"),
    ],
)
def test_exact_text_is_compared_to_the_letter(stored, new, tolerances):
    assert len(compare_text(stored, new, "exact", tolerances)) == 1


def test_a_number_is_reported_in_one_line(tolerances):
    (finding,) = compare_text(
        "first line\ntest accuracy 99.13 %", "first line\ntest accuracy 98.63 %", "trained", tolerances
    )
    assert str(finding) == (
        "line 2: accuracy: stored 99.13 %, new 98.63 %, difference -0.005, tolerance 0.004 (trained)"
    )
    assert (finding.quantity, finding.stored, finding.new) == ("accuracy", "99.13", "98.63")
    assert (finding.difference, finding.tolerance) == (Decimal("-0.005"), Decimal("0.004"))


def test_text_is_reported_around_the_first_difference(tolerances):
    (finding,) = compare_text("a" * 100 + "b" + "c" * 100, "a" * 100 + "B" + "c" * 100, "exact", tolerances)
    assert "b" in str(finding) and "B" in str(finding)
    assert len(str(finding)) < 200 and "\n" not in str(finding)


# ---------------------------------------------------------------------------------------------
# Figures


def png(array):
    """The base64 text of a picture, as a notebook stores it."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


GREY = np.full((20, 30, 3), 100)


def test_figure_difference_is_the_root_mean_square():
    # a quarter of the pixels 8 grey levels apart: sqrt(8² / 4) = 4
    other = GREY.copy()
    other[:10, :15] += 8
    assert figure_difference(GREY.astype(np.uint8), other.astype(np.uint8)) == 4.0


def test_figure_difference_is_matplotlibs():
    from matplotlib.testing.compare import calculate_rms

    random = np.random.default_rng(0)
    one, two = random.integers(0, 256, (2, 40, 50, 3)).astype(float)
    assert figure_difference(one, two) == pytest.approx(calculate_rms(one, two))


def drawn(column):
    """A white picture with one dark upright line, a pixel wide."""
    picture = np.full((20, 30, 3), 255, np.uint8)
    if column is not None:
        picture[:, column] = 0
    return picture


@pytest.mark.parametrize(("moved", "room", "differs"), [(3, 3, False), (3, 2, True), (0, 0, False), (1, 0, True)])
def test_a_line_may_move_as_far_as_there_is_room(moved, room, differs):
    assert (figure_difference(drawn(10), drawn(10 + moved), room) > 0) is differs
    assert (figure_difference(drawn(10).swapaxes(0, 1), drawn(10 + moved).swapaxes(0, 1), room) > 0) is differs


@pytest.mark.parametrize("pictures", [(drawn(10), drawn(None)), (drawn(None), drawn(10))])
def test_room_hides_neither_a_missing_nor_an_additional_line(pictures):
    # a thirtieth of the pixels 255 grey levels apart: sqrt(255² / 30)
    for room in (0, 3):
        assert figure_difference(*pictures, room) == pytest.approx(255 / 30**0.5)


def test_room_hides_no_other_colour():
    red, blue = drawn(10), drawn(12)
    red[:, 10, 0] = blue[:, 12, 2] = 255
    # A red line is dark in green and blue, a blue one in red and green: of red's three channels blue lacks one, in a
    # thirtieth of the pixels, and the other way round.
    assert figure_difference(red, blue, 3) == pytest.approx(255 * (1 / 90) ** 0.5)


def test_only_figures_of_a_training_have_room(tolerances):
    pair = png(drawn(10)), png(drawn(13))
    assert compare_png(*pair, "trained", tolerances) == []
    assert len(compare_png(*pair, "close", tolerances)) == len(compare_png(*pair, "exact", tolerances)) == 1


@pytest.mark.parametrize(
    ("kind", "step", "passes"),
    [
        ("exact", 0, True),
        ("exact", 1, False),
        ("close", 2, True),
        ("close", 3, False),
        ("trained", 20, True),
        ("trained", 21, False),
    ],
)
def test_figures_pass_within_the_tolerance_of_their_class(kind, step, passes, tolerances):
    # every pixel `step` grey levels brighter: the root mean square is `step`
    assert (compare_png(png(GREY), png(GREY + step), kind, tolerances) == []) is passes


def test_one_pixel_of_an_exact_figure_counts(tolerances):
    other = GREY.copy()
    other[3, 4, 1] += 1
    assert len(compare_png(png(GREY), png(other), "exact", tolerances)) == 1


def test_equal_pixels_pass_whatever_the_file(tolerances):
    # the same picture with and without an opaque fourth channel
    opaque = np.dstack([GREY, np.full(GREY.shape[:2], 255)])
    assert compare_png(png(GREY), png(opaque), "exact", tolerances) == []


def test_opacity_counts(tolerances):
    clear = np.dstack([GREY, np.full(GREY.shape[:2], 254)])
    assert len(compare_png(png(GREY), png(clear), "exact", tolerances)) == 1


def test_another_size_fails_and_leaves_pictures(tolerances, tmp_path):
    (finding,) = compare_png(png(GREY), png(GREY[:-1]), "trained", tolerances, tmp_path / "lesson")
    assert "30 × 20" in str(finding) and "30 × 19" in str(finding)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lesson-actual.png", "lesson-expected.png"]


def test_a_failure_leaves_three_pictures(tolerances, tmp_path):
    (finding,) = compare_png(png(GREY), png(GREY + 5), "exact", tolerances, tmp_path / "new folder" / "lesson")
    folder = tmp_path / "new folder"
    assert str(folder) in str(finding)
    names = ["lesson-actual.png", "lesson-difference.png", "lesson-expected.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    with Image.open(folder / "lesson-difference.png") as picture:
        assert (np.asarray(picture) == 50).all()  # ten times 5


def test_a_folder_that_cannot_be_made_does_not_hide_the_finding(tolerances, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    (finding,) = compare_png(png(GREY), png(GREY + 5), "exact", tolerances, tmp_path / "file" / "lesson")
    assert "difference 5" in str(finding) and "could not be written" in str(finding)


@pytest.mark.parametrize("encoded", ["", "no base64 at all!", base64.b64encode(b"GIF89a").decode(), png(GREY)[:80]])
def test_what_is_no_png_is_named(encoded, tolerances):
    (finding,) = compare_png(png(GREY), encoded, "trained", tolerances)
    assert "not a readable PNG" in str(finding)


def test_a_huge_figure_is_refused(monkeypatch):
    monkeypatch.setattr(verify, "MAX_PIXELS", 599)
    with pytest.raises(VerifyError, match="30 × 20 pixels"):
        decode_png(png(GREY))


# ---------------------------------------------------------------------------------------------
# Outputs of a cell


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def shown(data, alt=None, kind="display_data", **metadata):
    if alt is not None:
        metadata["image/png"] = {"alt": alt}
    return new_output(kind, data=data, metadata=metadata)


def findings(stored, new, tolerances, kind="exact", **options):
    return [str(finding) for finding in compare_outputs(stored, new, kind, tolerances, **options)]


def test_equal_outputs_pass(tolerances):
    outputs = [stream("a\n"), shown({"text/plain": "b", "image/png": png(GREY)}, alt="a grey picture")]
    assert findings(outputs, outputs, tolerances) == []


def test_what_is_printed_is_joined(tolerances):
    pieces = [stream("a"), stream("!", "stderr"), stream("b")]
    assert findings(pieces, [stream("ab"), stream("!", "stderr")], tolerances) == []
    assert pieces[0]["text"] == "a"  # the caller's outputs are left alone


def test_execution_counts_are_not_compared(tolerances):
    one, two = (new_output("execute_result", data={"text/plain": "1"}, execution_count=count) for count in (1, 7))
    assert findings([one], [two], tolerances) == []


def test_missing_and_additional_outputs_are_named(tolerances):
    figure, text = shown({"image/png": png(GREY)}), stream("printed\n")
    assert findings([text, figure], [text], tolerances) == ["output 2: missing: stored display_data image/png ''"]
    assert findings([text], [text, figure], tolerances) == ["output 2: additional: display_data image/png ''"]
    assert len(findings([text, figure], [figure, text], tolerances)) == 2  # another order
    assert findings([text], [], tolerances) == ["output 1: missing: stored stream stdout 'printed'"]


def test_an_added_warning_is_named(tolerances):
    (finding,) = findings([stream("a")], [stream("a"), stream("UserWarning: old\n", "stderr")], tolerances, "trained")
    assert finding == "output 2: additional: stream stderr 'UserWarning: old'"


def test_stderr_is_exact_in_every_class(tolerances):
    stored, new = [stream("loss 0.20", "stderr")], [stream("loss 0.21", "stderr")]
    assert len(findings(stored, new, tolerances, "trained")) == 1


@pytest.mark.parametrize(
    ("kind", "new", "passes"),
    [
        ("trained", ["MLP, accuracy 97.5%", "0 5 10"], True),
        ("exact", ["MLP, accuracy 97.5%", "0 5 10"], False),
        ("trained", ["CNN, accuracy 97.4%", "0 5 10"], False),
        ("trained", ["MLP, accuracy 97.4%", "0 5 15"], False),
        ("trained", ["MLP, accuracy 97.4%"], False),
    ],
)
def test_words_of_a_figure_are_text_of_their_class(kind, new, passes, tolerances):
    old, fresh = (shown({"image/png": png(GREY)}) for _ in range(2))
    old["metadata"] = {"digits": {"words": ["MLP, accuracy 97.4%", "0 5 10"]}}
    fresh["metadata"] = {"digits": {"words": new}}
    assert (findings([old], [fresh], tolerances, kind) == []) is passes


def test_swapped_figures_fail(tolerances):
    figures = [shown({"image/png": png(GREY)}), shown({"image/png": png(GREY + 100)})]
    assert len(findings(figures, figures[::-1], tolerances, "trained")) == 2


def test_another_kind_of_data_fails(tolerances):
    stored, new = shown({"text/plain": "a"}), shown({"text/plain": "a", "text/markdown": "a"})
    assert len(findings([stored], [new], tolerances)) == 2  # one missing, one additional


@pytest.mark.parametrize("kind", ["text/plain", "text/markdown", "text/html"])
def test_every_text_has_tolerance(kind, tolerances):
    stored, near, far = (shown({kind: f"loss {value}"}) for value in ("0.20", "0.22", "0.26"))
    assert findings([stored], [near], tolerances, "trained") == []
    assert len(findings([stored], [near], tolerances, "exact")) == 1
    (finding,) = findings([stored], [far], tolerances, "trained")
    assert finding.startswith(f"output 1, {kind}: loss: stored 0.20, new 0.26")


def test_other_data_are_exact(tolerances):
    stored, new = shown({"image/svg+xml": "loss 0.20"}), shown({"image/svg+xml": "loss 0.21"})
    assert len(findings([stored], [new], tolerances, "trained")) == 1


def test_json_is_compared_leaf_by_leaf(tolerances):
    stored = shown({"application/json": {"test": {"loss": 0.2, "n": 5}}})
    near = shown({"application/json": {"test": {"n": 5, "loss": 0.21}}})
    far = shown({"application/json": {"test": {"loss": 0.2, "n": 6}}})
    assert findings([stored], [near], tolerances, "trained") == []
    assert len(findings([stored], [far], tolerances, "trained")) == 1


def test_json_lines():
    value = {"b": [1, {"c": "x"}], "a": {}, "d": None}
    assert json_lines(value) == ["a: {}", "b: 1", 'b c: "x"', "d: null"]


def test_alt_text_is_compared_like_other_text(tolerances):
    stored, near, other = (shown({"text/plain": ""}, alt=alt) for alt in ("loss 0.20", "loss 0.21", "Loss 0.20"))
    assert findings([stored], [near], tolerances, "trained") == []
    assert "alt text of image/png" in findings([stored], [near], tolerances, "exact")[0]
    assert len(findings([stored], [other], tolerances, "trained")) == 1
    assert len(findings([stored], [shown({"text/plain": ""})], tolerances, "trained")) >= 1


def test_other_metadata_are_exact(tolerances):
    stored, new = (shown({"text/plain": ""}, note={"loss": value}) for value in (0.20, 0.21))
    (finding,) = findings([stored], [new], tolerances, "trained")
    assert "metadata" in finding


def test_transient_is_not_compared(tolerances):
    stored = shown({"text/plain": ""})
    assert findings([stored], [{**stored, "transient": {"display_id": "1"}}], tolerances) == []


def test_errors_are_compared_by_name_and_message(tolerances):
    one = new_output("error", ename="ValueError", evalue="no", traceback=["/home/a"])
    two = new_output("error", ename="ValueError", evalue="no", traceback=["/home/b"])
    three = new_output("error", ename="ValueError", evalue="yes", traceback=[])
    assert findings([one], [two], tolerances) == []
    assert len(findings([one], [three], tolerances)) == 1


def test_ignored_outputs_are_ignored(tolerances):
    assert findings([stream("a")], [], tolerances, "ignored") == []


def test_pictures_are_named_after_the_output(tolerances, tmp_path):
    stored, new = [shown({"image/png": png(GREY + step)}) for step in (0, 9)]
    findings([stream("a"), stored], [stream("a"), new], tolerances, pictures=tmp_path / "04-cell")
    assert (tmp_path / "04-cell-output2-expected.png").is_file()


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ([], "exact"),
        (["close"], "close"),
        (["trained", "other"], "trained"),
        (["machine", "nbval-ignore-output"], "ignored"),
    ],
)
def test_tags_give_the_class(tags, expected):
    assert comparison_class(new_code_cell(metadata={"tags": tags})) == expected


def test_two_classes_are_refused():
    with pytest.raises(VerifyError, match="close and trained"):
        comparison_class(new_code_cell(metadata={"tags": ["trained", "close"]}))


# ---------------------------------------------------------------------------------------------
# Two notebooks


def notebook():
    cells = [
        new_markdown_cell("# Title", id="title"),
        new_code_cell("epochs = 1", id="parameters", execution_count=1, metadata={"tags": ["parameters"]}),
        new_code_cell("print(1)", id="one", execution_count=2, outputs=[stream("1\n")]),
        new_code_cell(
            "loss()", id="loss", execution_count=3, outputs=[stream("loss 0.20\n")], metadata={"tags": ["trained"]}
        ),
    ]
    return new_notebook(cells=cells)


def verified(tmp_path, tolerances, change):
    """The findings for a notebook and its copy after `change(copy)`."""
    stored, new = notebook(), notebook()
    change(new)
    for name, content in (("stored.ipynb", stored), ("new.ipynb", new)):
        nbformat.write(content, tmp_path / name)
    return [
        str(one) for one in verify_notebooks(tmp_path / "stored.ipynb", tmp_path / "new.ipynb", tolerances, tmp_path)
    ]


def test_equal_notebooks(tmp_path, tolerances):
    assert verified(tmp_path, tolerances, lambda new: None) == []


def test_tags_of_notebooks_are_honoured(tmp_path, tolerances):
    def near(new):
        new.cells[3].outputs = [stream("loss 0.21\n")]

    def far(new):
        new.cells[3].outputs = [stream("loss 0.41\n")]

    assert verified(tmp_path, tolerances, near) == []
    (finding,) = verified(tmp_path, tolerances, far)
    assert finding.startswith("stored.ipynb, In [3] (id loss), output 1, stdout, line 1: loss: stored 0.20, new 0.41")


def test_injected_parameters_are_left_out(tmp_path, tolerances):
    def inject(new):
        new.cells.insert(2, new_code_cell("epochs = 3", id="new", metadata={"tags": ["injected-parameters"]}))

    assert verified(tmp_path, tolerances, inject) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda new: new.cells.pop(2), ["stored.ipynb, In [2] (id one): cell is missing"]),
        (
            lambda new: new.cells.append(new_markdown_cell("x", id="x")),
            ["stored.ipynb, text cell (id x): additional cell"],
        ),
        (lambda new: new.cells.reverse(), ["stored.ipynb: the cells are in another order"]),
        (
            lambda new: new.cells[2].update(source="print(2)"),
            ["stored.ipynb, In [2] (id one), source: text differs: stored 'print(1)', new 'print(2)'"],
        ),
        (
            lambda new: new.cells[2].metadata.update(tags=["close"]),
            ["stored.ipynb, In [2] (id one), tags: stored as exact, new as close"],
        ),
        (
            lambda new: new.cells[0].update(source="# Name"),
            ["stored.ipynb, text cell (id title), source: text differs: stored '# Title', new '# Name'"],
        ),
    ],
)
def test_cells_that_differ_are_named(change, expected, tmp_path, tolerances):
    assert verified(tmp_path, tolerances, change) == expected


def test_another_cell_type_is_named(tmp_path, tolerances):
    def change(new):
        new.cells[0] = new_code_cell("# Title", id="title")

    assert "markdown cell, new as a code cell" in verified(tmp_path, tolerances, change)[0]


def test_notebooks_without_ids(tmp_path, tolerances):
    # before nbformat 4.5 cells had no ids: they are compared by position
    for name, text in (("stored.ipynb", "1\n"), ("new.ipynb", "2\n")):
        old = notebook()
        old.nbformat_minor = 4
        for cell in old.cells:
            del cell["id"]
        old.cells[2].outputs = [stream(text)]
        nbformat.write(old, tmp_path / name)
    assert len(verify_notebooks(tmp_path / "stored.ipynb", tmp_path / "new.ipynb", tolerances)) == 1


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"cells": 3}', "\0"])
def test_what_is_no_notebook_is_refused_in_a_sentence(content, tmp_path, tolerances):
    path = tmp_path / "a.ipynb"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(VerifyError, match="executed .ipynb file"):
        verify_notebooks(path, path, tolerances)


def test_the_command_compares_two_notebooks(tmp_path):
    for name, text in (("stored.ipynb", "1\n"), ("new.ipynb", "2\n")):
        changed = notebook()
        changed.cells[2].outputs = [stream(text)]
        nbformat.write(changed, tmp_path / name)
    stored, new = str(tmp_path / "stored.ipynb"), str(tmp_path / "new.ipynb")
    equal = CliRunner().invoke(cli.main, ["verify", stored, stored])
    assert (equal.exit_code, equal.output) == (0, "No difference beyond the tolerances.\n")
    different = CliRunner().invoke(cli.main, ["verify", stored, new])
    assert different.exit_code == 1
    assert "(id one), output 1, stdout, line 1: number without a quantity: stored 1, new 2" in different.output
    assert CliRunner().invoke(cli.main, ["verify", stored, str(tmp_path / "none.ipynb")]).exit_code == 2


# ---------------------------------------------------------------------------------------------
# Stale outputs


def test_fresh_outputs_are_not_stale(tmp_path):
    stamped = notebook()
    stamp_sources(stamped)
    nbformat.write(stamped, tmp_path / "a.ipynb")
    assert stale_cells(nbformat.read(tmp_path / "a.ipynb", as_version=4)) == []


def test_an_edit_makes_the_cell_and_those_after_it_stale():
    stamped = notebook()
    stamp_sources(stamped)
    stamped.cells[0].source = "# Another title"  # text computes nothing
    assert stale_cells(stamped) == []
    stamped.cells[2].source += "  # the same output"
    assert [finding.place for finding in stale_cells(stamped)] == ["In [2] (id one)", "In [3] (id loss)"]


def test_moved_code_is_stale():
    stamped = notebook()
    stamped.cells[1].source, stamped.cells[2].source = "a", "bc"
    stamp_sources(stamped)
    stamped.cells[1].source, stamped.cells[2].source = "ab", "c"
    assert len(stale_cells(stamped)) == 3


def test_an_output_changed_by_hand_is_found():
    stamped = notebook()
    stamp_sources(stamped)
    stamped.cells[2].outputs = [stream("2\n")]
    (finding,) = stale_cells(stamped)
    assert "outputs were changed" in str(finding)


def test_cells_without_digests_are_found():
    assert len(stale_cells(notebook())) == 3  # the three code cells


def test_the_stamp_is_valid_notebook_metadata():
    stamped = notebook()
    stamp_sources(stamped)
    nbformat.validate(stamped)
    assert "digits" not in stamped.cells[0].metadata


# ---------------------------------------------------------------------------------------------
# The file with the tolerances


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[figure]\nclose = 1", "'figure'"),
        ("[figures]\nexact = { difference = 1 }", "'exact'"),
        ("[figures]\nclose = { rms = 1 }", "'rms'"),
        ("[figures]\nclose = { difference = -1 }", "-1"),
        ("[figures]\nclose = { difference = nan }", "nan"),
        ("[figures]\nclose = { difference = inf }", "inf"),
        ("[figures]\nclose = { room = 1.5 }", "1.5"),
        ("[figures]\nclose = { room = -1 }", "-1"),
        ("[quantity.a]\nunit = 'metres'", "'metres'"),
        ("[quantity.a]\nnames = ['a']", "None"),
        ("[quantity.a]\nunit = 'count'\nname = 'a'", "'name'"),
        ("[quantity.a]\nunit = 'count'\nclose = { relativ = 1 }", "'relativ'"),
        ("[quantity.a]\nunit = 'count'\nclose = { absolute = -1 }", "-1"),
        ("[quantity.a]\nunit = 'count'\nclose = { absolute = nan }", "NaN"),
        ("[quantity.a]\nunit = 'label'\nclose = { absolute = 1 }", "label"),
        ("[quantity.a]\nunit = 'count'\npercent_as = 'b'", "'b'"),
        ("[quantity.a]\nunit = 'count'\n[quantity.b]\nunit = 'count'\nnames = ['A']", "'a'"),
        ("not toml", "not TOML"),
    ],
)
def test_a_wrong_file_is_refused_in_a_sentence(text, message, tmp_path):
    path = tmp_path / "tolerances.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(VerifyError, match="tolerances.toml") as error:
        load_tolerances(path)
    assert message in str(error.value)


def test_a_missing_file_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(VerifyError, match="No tolerances at"):
        load_tolerances(tmp_path / "none.toml")


def test_the_projects_tolerances_still_mean_something():
    # the planted defects that the check promises to find: accuracy by half a point, loss by 20 %, any count in close
    project = load_tolerances()
    for kind in ("close", "trained"):
        (number,) = find_numbers("0.9913")
        assert allowed_difference(number, project.quantities["accuracy"], kind, project) < Decimal("0.005")
        for text in ("2.3026", "0.0275", "0.0068"):
            (number,) = find_numbers(text)
            assert allowed_difference(number, project.quantities["loss"], kind, project) < number.value * Decimal("0.2")
    (number,) = find_numbers("84")
    assert allowed_difference(number, project.quantities["errors"], "close", project) == 0
    for quantity in project.quantities.values():
        if {"close", "trained"} <= set(quantity.tolerances):
            assert quantity.tolerances["close"].absolute < quantity.tolerances["trained"].absolute


def test_the_projects_file_holds_every_probability_that_was_measured():
    # 9e-7 is the largest difference of a probability over four instruction sets (see the file's comment)
    project = load_tolerances()
    assert compare_text("probability 0.5000000", "probability 0.5000009", "close", project) == []
    assert compare_text("probability 0.5000000", "probability 0.5000109", "close", project) != []


def test_the_import_is_light():
    heavy = ("numpy", "PIL", "nbformat", "pytest", "nbval", "tensorflow")
    code = f"import sys, digits_helpers.verify; print(*(name for name in {heavy} if name in sys.modules))"
    folder = Path(__file__).parents[1]
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=True)
    assert result.stdout.split() == []
