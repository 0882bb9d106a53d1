"""Plots of lesson 03: what the layers of a network do."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from digits_helpers.figures import COLOURS, MARKERS


def feature_map(ax: Axes, values: NDArray, title: str) -> Axes:
    """Draw a feature map; the middle of the colour scale is zero, and it gets lighter from negative to positive.

    Args:
        ax: where to draw.
        values: shape (height, width), any range.
        title: above the map.
    """
    limit = float(np.abs(values).max()) or 1.0
    drawn = ax.imshow(values, cmap="cividis", vmin=-limit, vmax=limit)
    ax.figure.colorbar(drawn, ax=ax, shrink=0.7, label="value")
    ax.set(title=title, xlabel="column", ylabel="row")
    return ax


def cross_entropy_curve(ax: Axes) -> Axes:
    """Draw the loss of one image against the probability that its true class received."""
    probability = np.linspace(0.005, 1, 400)
    ax.plot(probability, -np.log(probability))
    ax.plot(0.1, np.log(10), MARKERS[1], color=COLOURS[1], label="undecided among ten: ln 10")
    ax.plot(0.5, np.log(2), MARKERS[2], color=COLOURS[2], label="undecided between two: ln 2")
    ax.set(title="Cross-entropy of one image", xlabel="probability of the true class", ylabel="loss", ylim=(0, 5.5))
    ax.legend()
    return ax


def architecture(ax: Axes, names: list[str], shapes: list[tuple[int, ...]]) -> Axes:
    """Draw the layers of a network as boxes from left to right.

    The height of a box grows with the height of the maps, its width with the logarithm of the number of channels.

    Args:
        ax: where to draw.
        names: one per box.
        shapes: output shape of each, without the batch axis: (height, width, channels) or (units,).
    """
    left = 0.0
    for position, (name, shape) in enumerate(zip(names, shapes, strict=True)):
        is_map = len(shape) == 3
        height = shape[0] / 28 if is_map else 0.25 + 0.06 * np.log2(shape[0])
        width = 0.25 + 0.12 * np.log2(shape[-1] + 1) if is_map else 0.3
        colour = COLOURS[4] if is_map else COLOURS[5]
        box = Rectangle((left, -height / 2), width, height, facecolor=colour, edgecolor="black", alpha=0.8)
        ax.add_patch(box)
        text = " × ".join(f"{size:,}" for size in shape)
        ax.text(left + width / 2, height / 2 + 0.03, text, ha="center", va="bottom", fontsize=8)
        level = -0.62 - 0.14 * (position % 2)
        ax.text(left + width / 2, level, name, ha="center", va="top", fontsize=9)
        ax.plot([left + width / 2] * 2, [-height / 2, level], color="grey", linewidth=0.5, zorder=0)
        left += width + 0.35
    ax.set(xlim=(-0.3, left), ylim=(-0.95, 0.75), title="The reference network: output of each layer")
    ax.set_axis_off()
    return ax
