"""What a figure's description says, that making it changes no pixel, and that IPython stores it."""

import io
import json

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from nbval_tolerance import describe_figure

mpl.use("agg")


def drawn(draw, **options):
    """The description of the one axes that `draw(axes)` draws into."""
    figure = Figure(**options)
    draw(figure.subplots())
    return describe_figure(figure)["axes"][0]


def artist(draw):
    (found,) = drawn(draw)["artists"]
    return found


def test_a_line():
    found = artist(lambda ax: ax.plot([1, 2, 3], [0.5, 0.25, 1 / 3], "--", marker="o", color="red", label="training"))
    data = {"x": "1 2 3", "y": "0.5 0.25 0.33333"}
    assert found == {
        "kind": "line", "label": "training", "color": "#ff0000", "style": "--", "marker": "o", "data": data,
    }  # fmt: skip


def test_words_and_ticks():
    def draw(ax):
        ax.plot([0, 1], [0, 1], label="a line")
        ax.set(title="Title", xlabel="epoch", ylabel="loss", xticks=[0, 1], yscale="symlog")
        ax.text(0.5, 0.5, "inside")
        ax.legend(title="lines")

    found = drawn(draw)
    assert found["title"] == "Title" and found["xlabel"] == "epoch" and found["ylabel"] == "loss"
    assert found["legend"] == ["lines", "a line"] and found["texts"] == ["inside"]
    assert found["xticks"] == "0 1" and "auto yticks" in found and found["yscale"] == "symlog"


def test_texts_of_the_figure_and_several_axes():
    figure = Figure()
    one, two = figure.subplots(1, 2)
    two.set_title("second")
    one.inset_axes([0, 0, 0.5, 0.5]).set_title("inset")
    figure.suptitle("above all")
    found = describe_figure(figure)
    assert found["texts"] == ["above all"]
    assert [axes.get("title", "") for axes in found["axes"]] == ["", "inset", "second"]


@pytest.mark.parametrize(
    ("draw", "kind", "data"),
    [
        (lambda ax: ax.bar([0, 1], [3, 4.5]), "bars", {"x": "0 1", "y": "3 4.5"}),
        (lambda ax: ax.bar([0, 1], [3, 4], bottom=[1, 1]), "bars", {"x": "0 1", "y": "4 5", "y from": "1 1"}),
        (lambda ax: ax.barh(["a", "b"], [3, 4]), "bars", {"y": "0 1", "x": "3 4"}),
        (lambda ax: ax.hist([1, 1, 2], bins=2), "bars", {"x": "1.25 1.75", "y": "2 1"}),
        (lambda ax: ax.scatter([1, 2], [3, 4]), "scatter", {"x": "1 2", "y": "3 4"}),
        (lambda ax: ax.scatter([1, 2], [3, 4], c=[5, 6]), "scatter", {"x": "1 2", "y": "3 4", "values": "5 6"}),
        (lambda ax: ax.vlines([1], [0], [2]), "linecollection", {"x": "1 1", "y": "0 2"}),
        (lambda ax: ax.axvspan(1, 2), "rectangle", None),
        (lambda ax: ax.pcolormesh([[1, 2], [3, 4]]), "quadmesh", {"values": "1 2 3 4"}),
        (lambda ax: ax.imshow([[1, 2], [3, 4]]), "image", {"values": "1 2 3 4", "limits": "1 4"}),
    ],
)
def test_other_artists(draw, kind, data):
    found = artist(draw)
    assert found["kind"] == kind
    assert data is None or found["data"] == data


def test_labels_of_containers():
    def draw(ax):
        ax.bar([0], [1], label="count")
        ax.errorbar([0], [1], yerr=[0.5], label="mean")

    assert {(one["kind"], one["label"]) for one in drawn(draw)["artists"]} == {
        ("bars", "count"), ("line", "mean"), ("linecollection", "mean"),
    }  # fmt: skip


def test_what_cannot_be_seen_is_not_described():
    assert drawn(lambda ax: (ax.plot([1], [1], visible=False), ax.set_axis_off())) == {}


def test_the_colour_bar_says_what_colours_mean():
    figure = Figure()
    ax = figure.subplots()
    figure.colorbar(ax.imshow(np.eye(3)), label="probability")
    found = describe_figure(figure)["axes"]
    assert found[0]["artists"][0]["values are"] == found[1]["ylabel"] == "probability"
    assert "artists" not in found[1]


def test_missing_values_and_noise():
    found = artist(lambda ax: ax.plot([np.nan, np.inf, -1.5, 1e-17]))
    assert found["data"]["y"] == "nan inf -1.5 0"


def test_long_data_are_bounded_and_their_ends_and_mean_kept():
    values = np.sin(np.arange(100_000))
    found = artist(lambda ax: ax.plot(values))["data"]
    shown = found["y"].split()
    assert len(shown) == 100 and found["y count"] == "100000"
    assert (float(shown[0]), float(shown[-1])) == pytest.approx((values[0], values[-1]), rel=1e-4)
    assert float(found["y mean"]) == pytest.approx(values.mean(), rel=1e-4)
    many = drawn(lambda ax: [ax.plot([index]) for index in range(300)])
    assert len(many["artists"]) == 201
    assert len(json.dumps(drawn(lambda ax: ax.scatter(values, values, c=values)))) < 10_000


def test_the_mean_of_centred_data_is_no_noise():
    places = np.linspace(-1, 1, 1001) + 1e-15  # the mean is 0 but for rounding
    assert artist(lambda ax: ax.scatter(places, np.ones(1001)))["data"]["x mean"] == "0"


def test_large_images_are_described_by_means_and_a_digest():
    image = np.zeros((28, 30))
    image[:, 15:] = 1
    found, other = (artist(lambda ax, shown=shown: ax.imshow(shown)) for shown in (image, image.T))
    assert found["shape"] == "(28, 30)" and len(found["data"]["values"].split()) == 64
    assert found["digest"] != other["digest"]
    colour = artist(lambda ax: ax.imshow(np.zeros((100, 100, 3))))
    assert len(colour["data"]["values"].split()) == 8 * 8 * 3


@pytest.mark.parametrize("layout", ["constrained", "tight", "none"])
def test_describing_changes_no_pixel(layout):
    pictures = []
    for described in (False, True):
        figure = Figure(layout=layout)
        left, right = figure.subplots(1, 2)
        left.plot(np.arange(10) ** 3, label="a line")
        left.set(xlabel="epoch", ylabel="loss\nof it", title="A long title")
        left.legend()
        figure.colorbar(right.imshow(np.eye(3)), label="p")
        if described:
            describe_figure(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="rgba")
        pictures.append(buffer.getvalue())
    assert pictures[0] == pictures[1]


SHOWN = """
%load_ext nbval_tolerance
import sys
assert not {"matplotlib.pyplot", "numpy"} & set(sys.modules)
---
import matplotlib.pyplot as plt
plt.plot([1, 2], label="shown by the backend");
---
from IPython.display import display
figure = plt.figure(); figure.suptitle("displayed"); display(figure, metadata={"image/png": {"alt": "a text"}}); plt.close()
figure
---
import nbval_tolerance.describe
nbval_tolerance.describe._texts = None
figure
"""


def test_ipython_stores_the_description_with_every_way_to_show_a_figure():
    notebook = new_notebook(cells=[new_code_cell(source.strip()) for source in SHOWN.split("---\n")])
    NotebookClient(notebook, kernel_name="python3").execute()
    _, backend, displayed, broken = (cell.outputs for cell in notebook.cells)
    assert "shown by the backend" in str(backend[-1].metadata["nbval_tolerance"])
    for output in displayed:
        assert output.metadata["nbval_tolerance"] == {"texts": ["displayed"], "axes": []}
    assert displayed[0].metadata["image/png"] == {"alt": "a text"}
    assert "nbval_tolerance" not in broken[0].metadata and "text/plain" in broken[0].data  # shown all the same
