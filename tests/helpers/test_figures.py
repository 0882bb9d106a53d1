"""Checks that figures hold what they should, give the same bytes twice, and carry their finding."""

import base64
import inspect
import io

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from digits_helpers import figures
from digits_helpers.evaluate import calibrate, coverage_curve
from digits_helpers.model import build_reference

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (120, 28, 28)).astype(np.uint8)
LABELS = (np.arange(120) % 10).astype(np.uint8)
PROBABILITIES = RANDOM.dirichlet(np.ones(10), 120).astype(np.float32)
HISTORY = {"loss": [0.3, 0.1], "val_loss": [0.2, 0.15], "accuracy": [0.9, 0.95], "val_accuracy": [0.93, 0.94]}
SHAPES = [(28, 28, 1)] + [layer.output.shape[1:] for layer in build_reference().layers]

# Every plotting function with data as a lesson gives them.
PLOTS = {
    "one_image": lambda ax: figures.one_image(ax, IMAGES[0], "a title"),
    "image_grid": lambda ax: figures.image_grid(ax, IMAGES[:7], 5, [str(n) for n in range(7)]),
    "class_gallery": lambda ax: figures.class_gallery(ax, IMAGES, LABELS, 12),
    "class_balance": lambda ax: figures.class_balance(ax, np.arange(10, 20), np.arange(20, 30)),
    "ink_per_class": lambda ax: figures.ink_per_class(ax, IMAGES.mean(axis=(1, 2)), LABELS),
    "unused_pixels": lambda ax: figures.unused_pixels(ax, IMAGES[0] > 20),
    "pca_map": lambda ax: figures.pca_map(ax, RANDOM.normal(size=(120, 2)), LABELS),
    "confusion": lambda ax: figures.confusion(ax, np.eye(10, dtype=int) * 9 + 1, "a title"),
    "scaling_runs": lambda ax: figures.scaling_runs(ax, {"raw": RANDOM.random((5, 6)), "scaled": RANDOM.random((5, 6))}),
    "selection_bias": lambda ax: figures.selection_bias(ax, RANDOM.binomial(360, 0.1, 100) / 360, trials=360),
    "feature_map": lambda ax: figures.feature_map(ax, RANDOM.normal(size=(26, 26)), "a title"),
    "cross_entropy_curve": figures.cross_entropy_curve,
    "architecture": lambda ax: figures.architecture(ax, [str(n) for n in range(9)], SHAPES),
    "precision_recall": lambda ax: figures.precision_recall(ax, np.linspace(0, 1, 120), LABELS > 4),
    "fit_curves": lambda ax: figures.fit_curves(ax, [HISTORY, HISTORY], "a title"),
    "learning_curve": lambda ax: figures.learning_curve(ax, HISTORY, "accuracy"),
    "probability_course": lambda ax: figures.probability_course(ax, PROBABILITIES[:4], 3),
    "recall_per_class": lambda ax: figures.recall_per_class(ax, np.full(10, 0.9), [(0.8, 0.95)] * 10),
    "reliability": lambda ax: figures.reliability(ax, calibrate(PROBABILITIES, LABELS)),
    "coverage": lambda ax: figures.coverage(ax, *coverage_curve(PROBABILITIES, LABELS), 0.9, 0.5),
}
WITHOUT_AXES = {"image_grid", "architecture"}
WITHOUT_LABELS = WITHOUT_AXES


@pytest.fixture(autouse=True)
def theme():
    figures.use_theme()
    yield
    plt.close("all")


def picture(draw):
    """Draw on fresh axes and return the PNG's bytes."""
    fig, ax = plt.subplots()
    draw(ax)
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def test_every_plotting_function_is_checked_here():
    public = {
        name for name, function in inspect.getmembers(figures, inspect.isfunction)
        if function.__module__ == figures.__name__ and "ax" in inspect.signature(function).parameters
    }
    assert public == set(PLOTS)


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_returns_its_axes_with_a_title_and_labels(name):
    fig, ax = plt.subplots()
    assert PLOTS[name](ax) is ax
    if name != "image_grid":  # its title is set by the lesson
        assert ax.get_title()
    if name not in WITHOUT_LABELS:
        assert ax.get_xlabel()
        assert ax.get_ylabel()


@pytest.mark.parametrize("name", ["class_balance", "confusion", "pca_map", "architecture"])
def test_the_same_data_give_the_same_bytes(name):
    RANDOM_STATE = np.random.default_rng(1).normal(size=(120, 2))
    draw = PLOTS[name] if name != "pca_map" else (lambda ax: figures.pca_map(ax, RANDOM_STATE, LABELS))
    assert picture(draw) == picture(draw)


def test_bars_are_as_high_as_the_shares():
    _, ax = plt.subplots()
    figures.class_balance(ax, np.array([1, 3] + [2] * 8), np.full(10, 5))
    heights = [bar.get_height() for bar in ax.containers[0]]
    assert heights[:3] == pytest.approx([5, 15, 10])


def test_confusion_matrix_shows_every_count_in_its_place():
    matrix = np.arange(100).reshape(10, 10)
    _, ax = plt.subplots()
    figures.confusion(ax, matrix, "t")
    shown = {tuple(int(round(p)) for p in text.get_position()): text.get_text() for text in ax.texts}
    assert shown[(7, 2)] == "27"  # x is the answer, y the true digit
    assert shown[(0, 0)] == "·"  # nothing there


def test_unused_pixels_are_the_crossed_ones():
    used = np.ones((28, 28), bool)
    used[3, 5] = False
    _, ax = plt.subplots()
    figures.unused_pixels(ax, used)
    assert [text.get_position() for text in ax.texts] == [(5, 3)]


def test_selection_bias_counts_every_guesser():
    _, ax = plt.subplots()
    figures.selection_bias(ax, np.array([30, 36, 36, 50]) / 360, trials=360)
    assert sum(bar.get_height() for bar in ax.patches) == 4


def test_precision_and_recall_at_one_half():
    # Six images: called at 0.5 are 0.6, 0.8 and 0.9, of which two are right, out of four right ones.
    _, ax = plt.subplots()
    figures.precision_recall(ax, np.array([0.1, 0.2, 0.3, 0.6, 0.8, 0.9]), np.array([1, 1, 0, 0, 1, 1], bool))
    thresholds = ax.lines[0].get_xdata()
    middle = np.argmin(np.abs(thresholds - 0.5))
    assert ax.lines[0].get_ydata()[middle] == pytest.approx(200 / 3)
    assert ax.lines[1].get_ydata()[middle] == pytest.approx(50)


def test_words_of_a_figure_are_titles_labels_legends_and_numbers_at_the_axes():
    fig, axes = plt.subplots(1, 2)
    figures.learning_curve(axes[0], HISTORY, "loss")
    figures.one_image(axes[1], IMAGES[0], "an image").set(xticks=[0, 10, 20], yticks=[5, 25, 99], ylim=(27.5, -0.5))
    assert figures.words(fig) == [
        "Reference network: loss", "epoch", "loss", "training (with dropout)", "validation",
        "1 2", "0.00 0.05 0.10 0.15 0.20 0.25 0.30",
        "an image", "column (pixel)", "row (pixel)", "0 10 20", "5 25",
    ]


def test_numbers_at_an_axis_that_is_not_drawn_are_no_words():
    fig, ax = plt.subplots()
    ax.plot([1, 2])
    assert figures.words(fig) != []
    ax.set_axis_off()
    assert figures.words(fig) == []


def test_the_course_of_the_probabilities_shows_each_in_its_place_and_frames_the_label():
    course = np.full((3, 10), 0.1)
    course[1:] = np.eye(10)[[7, 3]] * 0.996 + 0.0004  # below half a percent, no number
    _, ax = plt.subplots()
    figures.probability_course(ax, course, 3)
    shown = {tuple(int(round(p)) for p in text.get_position()): text.get_text() for text in ax.texts}
    assert shown == {**{(0, digit): "10" for digit in range(10)}, (1, 7): "100", (2, 3): "100"}
    assert (ax.images[0].get_array() == course.T).all()
    (frame,) = ax.patches
    assert frame.get_bbox().extents.tolist() == [-0.5, 2.5, 2.5, 3.5]  # all epochs, the row of the label
    assert not frame.get_clip_on()


@pytest.mark.parametrize("noise", [0.999, 1.001])
def test_the_axes_of_a_learning_curve_do_not_follow_the_last_digits(noise):
    # Of one seed on two instruction sets: first losses 0.2055 and 0.2052, first accuracies 93.66 % and 93.72 %
    history = {"loss": [0.2055 * noise, 0.018], "val_loss": [0.054, 0.033], "accuracy": [0.9366 * noise, 0.994]}
    history["val_accuracy"] = [0.984, 0.992]
    _, axes = plt.subplots(1, 2)
    assert figures.learning_curve(axes[0], history, "loss").get_ylim() == pytest.approx((0, 0.25))
    assert figures.learning_curve(axes[1], history, "accuracy").get_ylim() == (90, 100)


def test_a_learning_curve_of_few_images_fits_into_its_axes():
    _, axes = plt.subplots(1, 2)
    history = {"loss": [1.63, 0.6], "val_loss": [0.57, 0.26], "accuracy": [0.493, 0.8], "val_accuracy": [0.84, 0.94]}
    assert figures.learning_curve(axes[0], history, "loss").get_ylim() == (0, 2)
    assert figures.learning_curve(axes[1], history, "accuracy").get_ylim() == (45, 100)


def test_lines_differ_by_more_than_colour():
    _, ax = plt.subplots()
    figures.learning_curve(ax, HISTORY, "loss")
    first, second = ax.lines
    assert first.get_linestyle() != second.get_linestyle()
    assert first.get_marker() != second.get_marker()


def test_a_shown_figure_carries_its_finding_three_times(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *things, **options: shown.append((things, options)))
    fig, ax = plt.subplots(figsize=(4, 3))
    figures.one_image(ax, IMAGES[0], "t")
    figures.show(fig, "The image shows noise.")
    (image, options), (caption, _) = shown
    assert options["metadata"]["image/png"]["alt"] == image[0]["text/plain"] == "The image shows noise."
    assert caption[0].data == "*The image shows noise.*"
    png = base64.b64decode(image[0]["image/png"])
    assert Image.open(io.BytesIO(png)).size == (4 * 144, 3 * 144)
    assert options["metadata"]["image/png"]["width"] == 4 * 96
    assert options["metadata"]["digits"]["words"] == figures.words(fig)
    assert b"Software" not in png
    assert not plt.fignum_exists(fig.number)
