"""Two figures: every way in which one may be wrong fails by name, and what a training may change passes."""

import base64
import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from nbval_tolerance import describe_figure
from nbval_tolerance.figures import compare_figures, compare_png, write_pictures
from nbval_tolerance.text import Check

TRAINING, VALIDATION = [0.9, 0.5, 0.3, 0.2, 0.15], [0.95, 0.7, 0.55, 0.5, 0.48]
EPOCHS = [1, 2, 3, 4, 5]


def curves(training=TRAINING, validation=VALIDATION, epochs=EPOCHS, change=None, ylabel="loss"):
    """The description of two learning curves; `change(axes)` spoils them."""
    figure = Figure()
    ax = figure.subplots()
    ax.plot(epochs[: len(training)], training, "o-", color="blue", label="training")
    ax.plot(epochs[: len(validation)], validation, "s--", color="red", label="validation")
    ax.set(title="Losses", xlabel="epoch", ylabel=ylabel)
    if change:
        change(ax)
    ax.legend()
    return describe_figure(figure)


def compared(stored, new, kind, tolerances, **options):
    return [str(finding) for finding in compare_figures(stored, new, Check(kind, tolerances, **options))]


def exchange_colours(ax):
    one, two = ax.lines
    one.set_color("red"), two.set_color("blue")


DEFECTS = {
    "missing": ({"change": lambda ax: ax.lines[1].remove()}, "line 'validation' is missing"),
    "additional": ({"change": lambda ax: ax.plot([1, 2], [0.1, 0.1], label="extra")}, "line 'extra' is additional"),
    "recoloured": ({"change": lambda ax: ax.lines[0].set_color("green")}, "line 'training', color: stored #0000ff"),
    "colours exchanged": ({"change": exchange_colours}, "line 'validation', color: stored #ff0000, new #0000ff"),
    "relabelled": ({"change": lambda ax: ax.lines[0].set_label("test")}, "line 'training', label: text differs"),
    "another style": ({"change": lambda ax: ax.lines[0].set_linestyle(":")}, "line 'training', style: stored -, new :"),
    "another marker": ({"change": lambda ax: ax.lines[0].set_marker("x")}, "line 'training', marker: stored o, new x"),
    "data exchanged": ({"training": VALIDATION, "validation": TRAINING}, "line 'training', y, value 5 of 5: loss"),
    "cut": ({"validation": VALIDATION[:4]}, "line 'validation', y: 5 values stored, 4 new; the end is missing"),
    "shifted along x": ({"epochs": [0, 1, 2, 3, 4]}, "line 'training', x, value 1 of 5: label: stored 1, new 0"),
    "shifted in y": ({"training": TRAINING[:1] + TRAINING[:4]}, "line 'training', y, value 2 of 5: loss: stored 0.5"),
    "mean of the other axis": ({"training": [0.4] * 5}, "line 'training', y, value 1 of 5: loss: stored 0.9, new 0.4"),
    "percent": ({"training": [100 * y for y in TRAINING]}, "line 'training', y, value 1 of 5: loss: stored 0.9"),
    "another title": ({"change": lambda ax: ax.set_title("Accuracies")}, "title: text differs"),
    "another axis label": ({"ylabel": "cross-entropy"}, "ylabel: text differs"),
    "a text": ({"change": lambda ax: ax.text(1, 1, "best")}, "texts: text differs: stored '', new 'best'"),
    "another scale": ({"change": lambda ax: ax.set_yscale("log")}, "yscale: text differs"),
    "ticks that were set": ({"change": lambda ax: ax.set_xticks([1, 5])}, "xticks: text differs"),
    "ticks in percent": ({"change": lambda ax: ax.yaxis.set_major_formatter("{x} %")}, "auto yticks: text differs"),
}


@pytest.fixture(scope="module")
def stored():
    return curves()


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_wrong_figure_fails_by_name_in_every_class(defect, stored, tolerances):
    options, message = DEFECTS[defect]
    new = curves(**options)
    for kind in ("exact", "close", "trained"):
        assert message in "\n".join(compared(stored, new, kind, tolerances))


def test_another_end_of_a_training_passes(stored, tolerances):
    new = curves(training=[0.91, 0.52, 0.29, 0.21, 0.14], validation=[0.97, 0.72, 0.5, 0.52, 0.47])
    assert compared(stored, new, "trained", tolerances) == []
    assert len(compared(stored, new, "close", tolerances)) == 2
    assert len(compared(stored, new, "exact", tolerances)) >= 2


def test_one_finding_per_line_says_how_many_values_are_outside(stored, tolerances):
    (finding,) = compared(stored, curves(training=[0.9, 0.75, 0.3, 0.4, 0.15]), "trained", tolerances)
    assert "stored 0.5, new 0.75, difference +0.25" in finding and "2 of 5 values are outside" in finding


def test_numbers_in_the_words_of_a_tolerant_figure_have_tolerance(tolerances):
    pair = [curves(change=lambda ax, text=text: ax.set_title(f"validation loss {text}")) for text in ("0.48", "0.47")]
    assert compared(*pair, "trained", tolerances) == []
    assert len(compared(*pair, "exact", tolerances)) == 1


@pytest.mark.parametrize(("accuracy", "passes"), [(0.4, True), (0.5, False)])
def test_an_axis_in_percent(accuracy, passes, tolerances):
    # 0.4 points are 0.004, the tolerance of an accuracy
    pair = [curves([90.1, 95.5, 97.4 + more], [90.2, 95.1, 96.3], ylabel="accuracy (%)") for more in (0, accuracy)]
    assert (compared(*pair, "trained", tolerances) == []) is passes


def test_a_name_is_looked_for_in_the_label_and_the_title_too(tolerances):
    pair = [curves([0.5, y], change=lambda ax: ax.set_ylabel("")) for y in (0.30, 0.33)]
    assert len(compared(*pair, "trained", tolerances)) == 1
    for axes in (part["axes"][0] for part in pair):
        axes["title"] = "loss of both"
    assert compared(*pair, "trained", tolerances) == []


def one_axes(draw):
    figure = Figure()
    ax = figure.subplots()
    draw(ax)
    return describe_figure(figure)


@pytest.mark.parametrize(
    ("draw", "spoil", "message"),
    [
        (lambda ax: ax.bar([0, 1, 2], [5, 6, 7]), lambda ax: ax.bar([0, 1], [5, 6]), "bars, x: 3 values stored, 2 new"),
        (lambda ax: ax.bar([0, 1], [5421, 6742]), lambda ax: ax.bar([0, 1], [5421, 6741]), "bars, y, value 2 of 2"),
        (
            lambda ax: ax.scatter([1], [2], c=[[1, 0, 0]]),
            lambda ax: ax.scatter([1], [2], c=[[0, 0, 1]]),
            "scatter, color",
        ),
        (lambda ax: ax.imshow(np.eye(3)), lambda ax: ax.imshow(np.eye(3)[::-1]), "image, values, value 1 of 9"),
        (lambda ax: ax.imshow(np.eye(40)), lambda ax: ax.imshow(np.eye(40)[::-1]), "image, values, value 1 of 64"),
        (
            lambda ax: ax.imshow(np.eye(3)),
            lambda ax: ax.imshow(np.eye(3), cmap="gray"),
            "image, colormap: stored viridis",
        ),
        (lambda ax: ax.plot([1, np.nan]), lambda ax: ax.plot([1, 2.5]), "line, y, value 2 of 2: stored nan, new 2.5"),
    ],
)
def test_other_wrong_artists_fail_by_name(draw, spoil, message, tolerances):
    pair = one_axes(draw), one_axes(spoil)
    for kind in ("exact", "trained"):
        assert message in "\n".join(compared(*pair, kind, tolerances))


def test_noise_passes_where_there_is_tolerance(tolerances):
    values = np.linspace(0.1, 0.9, 50).astype(np.float32)
    noise = values * (1 + 1e-6 * np.sin(np.arange(50)))
    for draw in (lambda ax, v: ax.plot(v), lambda ax, v: ax.scatter(v, v), lambda ax, v: ax.imshow(v.reshape(5, 10))):
        pair = [one_axes(lambda ax, draw=draw, v=v: draw(ax, v)) for v in (values, noise)]
        assert compared(*pair, "close", tolerances) == []


def test_a_figure_equals_itself_and_every_series_can_be_asked_for(stored, tolerances):
    assert compared(stored, curves(), "exact", tolerances) == []
    assert len(compared(stored, stored, "trained", tolerances, every=True)) >= 4


def test_another_number_of_axes(tolerances):
    figure = Figure()
    figure.subplots(1, 2)
    (finding,) = compared(describe_figure(figure), one_axes(lambda ax: None), "exact", tolerances)
    assert "2 axes stored, 1 new" in finding
    other = describe_figure(figure)
    other["axes"][1]["title"] = "second"
    assert compared(describe_figure(figure), other, "exact", tolerances)[0].startswith("axes 2, title")


GREY = np.full((20, 30, 3), 100)


def png(array):
    """The base64 text of a picture, as a notebook stores it."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def test_one_pixel_counts(tolerances):
    other = GREY.copy()
    other[3, 4, 1] += 1
    (finding,) = compare_png(png(GREY), png(other), Check("exact", tolerances))
    assert "columns 4 and 5, rows 3 and 4, by up to 1 of 255" in str(finding)


def test_equal_pixels_pass_whatever_the_file(tolerances):
    opaque, clear = (np.dstack([GREY, np.full(GREY.shape[:2], alpha)]) for alpha in (255, 254))
    assert compare_png(png(GREY), png(opaque), Check("exact", tolerances)) == []
    assert len(compare_png(png(GREY), png(clear), Check("exact", tolerances))) == 1


def test_another_size_and_what_is_no_picture(tolerances):
    (finding,) = compare_png(png(GREY), png(GREY[:-1]), Check("exact", tolerances))
    assert "30 × 20" in str(finding) and "30 × 19" in str(finding)
    for encoded in ("", "no base64 at all!", base64.b64encode(b"GIF89a").decode(), png(GREY)[:80]):
        (finding,) = compare_png(png(GREY), encoded, Check("exact", tolerances))
        assert "not a readable PNG" in str(finding)


def test_pictures_are_written(tmp_path):
    note = write_pictures(tmp_path / "new folder" / "cell", png(GREY), png(GREY + 5))
    assert str(tmp_path / "new folder" / "cell") in note
    names = {path.name for path in (tmp_path / "new folder").iterdir()}
    assert names == {"cell-expected.png", "cell-actual.png", "cell-difference.png"}
    with Image.open(tmp_path / "new folder" / "cell-difference.png") as picture:
        assert (np.asarray(picture) == 50).all()  # ten times 5
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "could not be written" in write_pictures(tmp_path / "file" / "cell", png(GREY), png(GREY))
