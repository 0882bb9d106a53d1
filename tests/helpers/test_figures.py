"""Figures: the theme, how one is shown in a notebook, and what the plots draw."""

import base64
import importlib
import inspect
import io
import pkgutil

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from digits_helpers import figures
from digits_helpers.figures import build, evaluate, explore, preprocess

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 28, 28), np.uint8)
LABELS = np.arange(40, dtype=np.uint8) % 10


@pytest.fixture(autouse=True)
def theme():
    figures.use_theme()
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.subplots()[1]


def texts(ax):
    """Text drawn into an axes, by its rounded place."""
    return {tuple(round(value) for value in text.get_position()): text.get_text() for text in ax.texts}


# --- The theme, and showing a figure ---


def test_the_theme_replaces_whatever_was_set():
    plt.rcParams["font.size"] = 40
    plt.rcParams["lines.dashed_pattern"] = [1, 1]
    figures.use_theme()
    assert plt.rcParams["font.size"] == 10
    assert plt.rcParams["lines.dashed_pattern"] == plt.rcParamsDefault["lines.dashed_pattern"]
    assert plt.rcParams["figure.constrained_layout.use"]


def test_a_shown_figure_is_displayed_as_itself_and_closed(monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "display", lambda thing, **options: shown.append((thing, options)))
    fig, _ = plt.subplots(figsize=(4, 3))
    figures.show(fig, "The image shows noise.")
    (figure, options), (caption, _) = shown
    assert figure is fig  # so that a formatter of the notebook's owner sees it
    assert options["metadata"]["image/png"] == {"alt": "The image shows noise.", "width": 4 * 96}
    assert caption.data == "*The image shows noise.*"
    assert not plt.fignum_exists(fig.number)


NOTEBOOK = """
import matplotlib.pyplot as plt
from digits_helpers import figures
figures.use_theme()
---
fig, ax = plt.subplots(figsize=(4, 3))
ax.plot([1, 2], label="a line")
figures.show(fig, "The line rises.")
---
fig, ax = plt.subplots(figsize=(4, 3))
ax.set_axis_off()
ax.plot([1, 2], label="a line")
figures.show(fig, "The same line without axes.")
"""


def test_what_a_notebook_stores(tmp_path):
    cells = [nbformat.v4.new_code_cell(source) for source in NOTEBOOK.split("---\n")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert cells[0].outputs == []
    for cell, finding in zip(cells[1:], ("The line rises.", "The same line without axes."), strict=True):
        image, caption = cell.outputs
        assert caption.data["text/markdown"] == f"*{finding}*"
        assert image.metadata["image/png"] == {"alt": finding, "width": 384}
        with Image.open(io.BytesIO(base64.b64decode(image.data["image/png"]))) as picture:
            assert picture.size == (4 * 144, 3 * 144)  # full size, whatever is drawn
            assert "Software" not in picture.info


# --- Plots ---


def plots():
    """Every public function of the package that draws into an axes, by its name."""
    modules = [
        figures,
        *(
            importlib.import_module(f"{figures.__name__}.{name}")
            for _, name, _ in pkgutil.iter_modules(figures.__path__)
        ),
    ]
    for module in modules:
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if (
                function.__module__ == module.__name__
                and not name.startswith("_")
                and name not in ("show", "use_theme")
            ):
                yield f"{module.__name__.removeprefix(figures.__name__).lstrip('.')}.{name}", function


@pytest.mark.parametrize(("name", "function"), list(plots()))
def test_a_plot_takes_an_axes_and_returns_it(name, function):
    signature = inspect.signature(function)
    assert next(iter(signature.parameters)) == "ax"
    assert signature.return_annotation is plt.Axes
    assert inspect.getdoc(function)


@pytest.mark.parametrize(("image", "white"), [(IMAGES[0], 255), (IMAGES[0] / np.float32(255), 1)])
def test_the_scale_of_an_image_follows_its_type(ax, image, white):
    figures.one_image(ax, image)
    assert ax.images[0].get_clim() == (0, white)


def test_a_grid_has_every_image_under_its_title(ax):
    figures.image_grid(ax, IMAGES[:7], columns=3, titles=[f"title {place}" for place in range(7)])
    canvas = ax.images[0].get_array()
    assert canvas.sum() == IMAGES[:7].sum()
    for place, text in enumerate(ax.texts):
        assert text.get_text() == f"title {place}"
        left, top = text.get_position()
        below = canvas[round(top) + 1 : round(top) + 29, round(left) - 14 : round(left) + 14]
        assert np.array_equal(below, IMAGES[place])


def test_a_confusion_matrix_shows_every_count_in_its_place(ax):
    figures.confusion(ax, np.arange(100).reshape(10, 10), "test set")
    assert texts(ax)[(7, 2)] == "27"  # x is the answer, y the true digit
    assert texts(ax)[(0, 0)] == "·"  # nothing there


def test_bars_are_as_high_as_the_shares(ax):
    explore.class_balance(ax, np.array([1, 3] + [2] * 8), np.full(10, 5))
    assert [bar.get_height() for bar in ax.containers[0]][:3] == pytest.approx([5, 15, 10])


def test_unused_pixels_are_the_crossed_ones(ax):
    used = np.ones((28, 28), bool)
    used[3, 5] = False
    explore.unused_pixels(ax, used)
    assert list(texts(ax)) == [(5, 3)]


def test_selection_bias_counts_every_guesser(ax):
    preprocess.selection_bias(ax, np.array([30, 36, 36, 50]) / 360, 360)
    assert sum(bar.get_height() for bar in ax.patches) == 4


def test_the_bars_of_the_architecture_are_shares_of_the_parameters(ax):
    import keras

    layers = [keras.layers.Conv2D(1, 3), keras.layers.Dropout(0.5), keras.layers.Flatten(), keras.layers.Dense(6)]
    build.architecture(ax, keras.Sequential([keras.layers.Input((4, 4, 1)), *layers]).layers)
    drawn = [text.get_text() for text in ax.texts]
    assert [name for name in drawn if name.isidentifier()] == ["Input", "Conv2D", "Flatten", "Dense"]  # no Dropout
    heights = [bar.get_height() for bar in ax.containers[0]]
    assert heights[0] == heights[2] == 0
    assert heights[3] == pytest.approx(3 * heights[1])  # 30 and 10 parameters
    assert "75.00%" in " ".join(drawn)


def test_recall_is_drawn_in_percent_with_its_interval(ax):
    evaluate.recall_per_class(ax, np.full(10, 0.9), [(0.8, 0.95)] * 10)
    ((low, high), *_) = [segment[:, 1] for segment in ax.collections[0].get_segments()]
    assert (low, high) == pytest.approx((80, 95))


def test_coverage_goes_from_one_image_to_all(ax):
    evaluate.coverage(ax, np.array([1.0, 1.0, 1.0, 0.75]), chosen_share=0.75, chosen_accuracy=1.0)
    x, y = ax.lines[0].get_data()
    assert x.tolist() == [25, 50, 75, 100]
    assert y.tolist() == [100, 100, 100, 75]
