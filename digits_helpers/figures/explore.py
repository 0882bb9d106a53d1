"""Plots of lesson 01: what the data look like."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from digits_helpers.figures import INK


def class_gallery(ax: Axes, images: NDArray[np.uint8], labels: NDArray[np.uint8], columns: int = 12) -> Axes:
    """Draw the first images of each class, one class per row.

    Args:
        ax: where to draw.
        images: shape (n, height, width), values 0 to 255.
        labels: shape (n,), 0 to 9.
        columns: images per class.
    """
    size = images.shape[1]
    rows = [np.hstack(list(images[np.flatnonzero(labels == digit)[:columns]])) for digit in range(10)]
    ax.imshow(np.vstack(rows), cmap=INK, vmin=0, vmax=255)
    ax.set_yticks(np.arange(10) * size + size / 2, [str(digit) for digit in range(10)])
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(title=f"The first {columns} images of each class", xlabel="image", ylabel="label")
    return ax


def class_balance(ax: Axes, train_counts: NDArray, test_counts: NDArray) -> Axes:
    """Draw the share of each class in the training and in the test set.

    Args:
        ax: where to draw.
        train_counts: images per class, shape (10,).
        test_counts: images per class, shape (10,).
    """
    digits, width = np.arange(10), 0.4
    ax.bar(digits - width / 2, train_counts / train_counts.sum() * 100, width, label="training set")
    ax.bar(
        digits + width / 2,
        test_counts / test_counts.sum() * 100,
        width,
        label="test set",
        hatch="//",
        edgecolor="white",
    )
    ax.axhline(10, color="black", linewidth=1, linestyle=":", label="balanced")
    ax.set(title="Share of each class", xlabel="digit", ylabel="share of the images (%)", xticks=digits, ylim=(0, 14))
    ax.legend(ncols=3, loc="upper center")
    return ax


def ink_per_class(ax: Axes, ink: NDArray, labels: NDArray) -> Axes:
    """Draw the distribution of the mean pixel for each class as a box plot.

    Args:
        ax: where to draw.
        ink: mean pixel of each image, shape (n,), 0 to 255.
        labels: shape (n,), 0 to 9.
    """
    groups = [ink[labels == digit] for digit in range(10)]
    line = {"color": "black"}
    ax.boxplot(groups, positions=range(10), whis=(5, 95), showfliers=False, medianprops=line)
    ax.set(title="Ink per image (box: middle half, whiskers: 5 to 95%)", xlabel="digit")
    ax.set(ylabel="mean pixel (0 to 255)", ylim=(0, None))
    return ax


def unused_pixels(ax: Axes, used: NDArray[np.bool_]) -> Axes:
    """Draw which pixels are inked in at least one image.

    Args:
        ax: where to draw.
        used: shape (height, width).
    """
    ax.imshow(np.where(used, 0.0, 0.75), cmap=INK, vmin=0, vmax=1)
    for row, column in np.argwhere(~used):
        ax.text(column, row, "×", ha="center", va="center", fontsize=6, color="white")
    ax.set(title="Pixels that are always 0 (×)", xlabel="column (pixel)", ylabel="row (pixel)")
    return ax


def pca_map(ax: Axes, places: NDArray, labels: NDArray, drawn: int = 80) -> Axes:
    """Draw images as points on the plane of the first two principal components.

    Each point is the digit itself, so that no colour has to be looked up.

    Args:
        ax: where to draw.
        places: shape (n, 2).
        labels: shape (n,), 0 to 9.
        drawn: how many images of each class are drawn; the class centres are those of all.
    """
    for digit in range(10):
        chosen = places[labels == digit]
        colour = plt.get_cmap("viridis")(digit / 11)
        ax.scatter(*chosen[:drawn].T, marker=f"${digit}$", s=26, linewidths=0.2, color=colour)
    for digit in range(10):
        centre = places[labels == digit].mean(axis=0)
        box = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": "black", "alpha": 0.9}
        ax.text(*centre, str(digit), ha="center", va="center", fontweight="bold", bbox=box)
    ax.set(title="Images on the first two principal components (circle: class centre)")
    ax.set(xlabel="first component", ylabel="second component")
    return ax
