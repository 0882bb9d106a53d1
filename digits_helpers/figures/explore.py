"""The plots of lesson 01."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from digits_helpers.figures import COLOURS, INK, image_grid


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
    ax.set(title=f"The first {columns} images of each class", ylabel="label")
    return ax


def class_balance(ax: Axes, train_counts: NDArray[np.int64], test_counts: NDArray[np.int64]) -> Axes:
    """Draw the share of each class in the training and in the test set.

    Args:
        ax: where to draw.
        train_counts: images per class, shape (10,).
        test_counts: images per class, shape (10,).
    """
    digits, width = np.arange(10), 0.4
    ax.bar(digits - width / 2, train_counts / train_counts.sum() * 100, width, label="training set")
    share = test_counts / test_counts.sum() * 100
    ax.bar(digits + width / 2, share, width, label="test set", hatch="//", edgecolor="white")
    ax.axhline(10, color="black", linewidth=1, linestyle=":", label="balanced")
    ax.set(title="Share of each class", xlabel="digit", ylabel="share of the images (%)", xticks=digits, ylim=(0, 14))
    ax.legend(ncols=3, loc="upper center")
    return ax


def ink_per_class(ax: Axes, ink: NDArray[np.float64], labels: NDArray[np.uint8]) -> Axes:
    """Draw the distribution of the mean pixel for each class as a box plot.

    Args:
        ax: where to draw.
        ink: mean pixel of each image, shape (n,), 0 to 255.
        labels: shape (n,), 0 to 9.
    """
    groups = [ink[labels == digit] for digit in range(10)]
    ax.boxplot(groups, positions=range(10), whis=(5, 95), showfliers=False, medianprops={"color": "black"})
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


def class_on_map(ax: Axes, points: NDArray[np.float64], labels: NDArray[np.uint8], digit: int) -> Axes:
    """Draw all images as grey points on a map, those of one class in front of them in colour.

    Args:
        ax: where to draw.
        points: shape (n, 2).
        labels: shape (n,), 0 to 9.
        digit: the class to bring out.
    """
    ax.scatter(*points.T, s=1, color="0.85")
    chosen = points[labels == digit]
    ax.scatter(*chosen.T, s=2, color=COLOURS[0])
    box = {"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": "black"}
    ax.text(*chosen.mean(axis=0), str(digit), ha="center", va="center", fontsize=9, fontweight="bold", bbox=box)
    ax.set_title(f"digit {digit}")
    ax.locator_params(nbins=4)
    return ax


def probability_bars(ax: Axes, probabilities: NDArray[np.float32], label: int) -> Axes:
    """Draw the ten probabilities that a network gave to one image; the bar of the label is filled.

    Args:
        ax: where to draw.
        probabilities: shape (10,), sum 1.
        label: the true digit.
    """
    faces = [COLOURS[0] if digit == label else "white" for digit in range(10)]
    ax.barh(range(10), probabilities * 100, color=faces, edgecolor=COLOURS[0])
    best = int(probabilities.argmax())
    ax.text(50, 10.2, f"{best}: {probabilities[best]:.1%}", ha="center", va="center", fontsize=9)
    ax.set(xlabel="probability (%)", xlim=(0, 100), xticks=(0, 50, 100), ylim=(-0.7, 10.8), yticks=range(10))
    return ax


def disputed_labels(ax: Axes, images: NDArray[np.uint8], disputed: Mapping[int, tuple[int, int | None]]) -> Axes:
    """Draw images whose label reviewers rejected, under the label given and the one that most of them chose.

    Args:
        ax: where to draw.
        images: shape (n, height, width), values 0 to 255.
        disputed: index of the image to (label given, label chosen or None); an index beyond the images is left out.
    """
    ax.set_title("Disputed test labels: given → what most reviewers chose (?: no digit)")
    found = [index for index in disputed if index < len(images)]
    if found:
        titles = [f"{given} → {'?' if chosen is None else chosen}" for given, chosen in map(disputed.get, found)]
        return image_grid(ax, images[found], columns=5, titles=titles)
    ax.text(0.5, 0.5, "none is known in this data set", ha="center", va="center")
    ax.set_axis_off()
    return ax
