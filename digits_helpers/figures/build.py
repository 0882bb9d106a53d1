"""Plots of lesson 03: what the layers of a network do, and where its parameters are."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from digits_helpers.figures import COLOURS, MARKERS


def feature_map(ax: Axes, values: NDArray, title: str = "", limit: float | None = None) -> Axes:
    """Draw a feature map; the middle of the colours is zero, and they get lighter from negative to positive.

    Args:
        ax: where to draw.
        values: shape (height, width), any range.
        title: above the map.
        limit: the value at the light end of the colours; by default the largest one without its sign.
    """
    limit = limit or float(np.abs(values).max()) or 1.0
    ax.imshow(values, cmap="cividis", vmin=-limit, vmax=limit)
    ax.set(title=title, xlabel="column", ylabel="row")
    return ax


def window(ax: Axes, row: int, column: int, size: int) -> Axes:
    """Frame a square of an image or a feature map.

    Args:
        ax: where the image is drawn.
        row: topmost row of the square.
        column: leftmost column of the square.
        size: rows and columns of the square.
    """
    ax.add_patch(Rectangle((column - 0.5, row - 0.5), size, size, fill=False, edgecolor=COLOURS[1], linewidth=2))
    return ax


def cross_entropy_curve(ax: Axes) -> Axes:
    """Draw the loss of one image against the probability that its true class received."""
    probability = np.linspace(0.005, 1, 400)
    ax.plot(probability, -np.log(probability))
    for chance, text, marker in (
        (0.1, "a tenth: ln 10 = 2.303", MARKERS[1]),
        (0.5, "one half: ln 2 = 0.693", MARKERS[2]),
    ):
        ax.plot(chance, -np.log(chance), marker, color=COLOURS[1])
        ax.annotate(text, (chance, -np.log(chance)), xytext=(8, 4), textcoords="offset points")
    ax.set(title="Cross-entropy of one image", xlabel="probability of the true class", ylabel="loss")
    ax.set(xlim=(0, 1), ylim=(0, 5.5))
    return ax


def architecture(ax: Axes, layers: list[Any]) -> Axes:
    """Draw the output of each layer, one unit of area per value, and below it the layer's share of all parameters.

    Dropout, which changes no shape and has no parameters, is left out.

    Args:
        ax: where to draw; its unit is one pixel of the input image.
        layers: `layers` of a built Keras model; the input of the first has shape (height, width, channels).
    """
    drawn = [layer for layer in layers if type(layer).__name__ != "Dropout"]
    names = ["Input"] + [type(layer).__name__ for layer in drawn]
    shapes = [layers[0].input.shape[1:]] + [layer.output.shape[1:] for layer in drawn]  # without the axis of images
    parameters = [0] + [layer.count_params() for layer in drawn]
    distance, full_bar, floor = 225, 220, -400
    places = distance * np.arange(len(names))
    for place, name, shape in zip(places, names, shapes, strict=True):
        _output(ax, place, shape)
        ax.text(place, 150, " × ".join(f"{size:,}" for size in shape), ha="center", fontsize=9)
        ax.text(place, 185, name, ha="center", fontweight="bold")
    shares = np.array(parameters) / sum(parameters)
    ax.bar(places, shares * full_bar, width=110, bottom=floor, color=COLOURS[1])
    for place, share, count in zip(places, shares, parameters, strict=True):
        text = f"{count:,}\n{share:.2%}" if count else "0"
        ax.text(place, floor + share * full_bar + 8, text, ha="center", va="bottom", fontsize=9)
    ax.plot([places[0] - 70, places[-1] + 70], [floor, floor], color="black", linewidth=0.8)
    ax.text(places[0] - 70, -125, "parameters and their share of all", fontweight="bold", va="bottom")
    ax.set(xlim=(places[0] - 80, places[-1] + 80), ylim=(floor - 10, 215), aspect="equal")
    ax.set_title("The reference network: output of each layer (area: number of values)")
    ax.set_axis_off()
    return ax


def _output(ax: Axes, place: float, shape: tuple[int, ...]) -> None:
    """Draw one layer's output around (place, 20): a tile per map, or one upright strip for a row of values."""
    if len(shape) == 1:
        tiles, across, width, height = 1, 1, np.sqrt(shape[0]) / 2, np.sqrt(shape[0]) * 2
        colour = edge = COLOURS[5]
    else:
        height, width, tiles = shape
        across, colour, edge = 2 ** int(np.log2(tiles) / 2), COLOURS[4], "white"
    left, top = place - across * width / 2, 20 + tiles / across * height / 2
    for tile in range(tiles):
        corner = left + tile % across * width, top - (tile // across + 1) * height
        ax.add_patch(Rectangle(corner, width, height, facecolor=colour, edgecolor=edge, linewidth=0.4))
