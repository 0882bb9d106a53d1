"""Plots of lesson 05: how good a network is."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from digits_helpers.figures import COLOURS, MARKERS


def recall_per_class(ax: Axes, recall: NDArray, intervals: list[tuple[float, float]]) -> Axes:
    """Draw the recall of each class with its interval.

    Args:
        ax: where to draw.
        recall: shape (10,), values 0 to 1.
        intervals: lower and upper end per class, values 0 to 1.
    """
    ends = np.array(intervals).T
    gaps = np.abs(ends - recall) * 100
    ax.errorbar(range(10), recall * 100, gaps, fmt="o", capsize=4, color=COLOURS[0])
    ax.set(title="Recall of each digit with its 95% Wilson interval", xlabel="digit", ylabel="recall (%)")
    ax.set(xticks=range(10), ylim=(None, 100 + 0.05 * (100 - ends.min() * 100)))
    return ax


def reliability(ax: Axes, images: NDArray, claimed: NDArray, made: NDArray) -> Axes:
    """Draw the share of mistakes that a network makes against the share that it claims, group by group.

    Both axes are logarithmic, because a good network's shares differ by factors of ten. A group without a mistake
    has no place on such an axis and is left out.

    Args:
        ax: where to draw.
        images: images per group, shape (n,).
        claimed: sum of 1 - confidence per group, shape (n,).
        made: mistakes per group, shape (n,).
    """
    drawn = made > 0
    claims, shares = claimed[drawn] / images[drawn] * 100, made[drawn] / images[drawn] * 100
    ax.plot([0.00001, 100], [0.00001, 100], ":", color="black", label="claim and truth agree")
    ax.plot(claims, shares, MARKERS[0], color=COLOURS[0], label="one group of images")
    for claim, share, count in zip(claims, shares, made[drawn], strict=True):
        text = f"{count} mistake{'s' if count > 1 else ''}"
        ax.annotate(text, (claim, share), xytext=(-7, 3), textcoords="offset points", fontsize=8, ha="right")
    ax.set(title="Mistakes claimed and made", xscale="log", yscale="log", xlim=(0.00001, 100), ylim=(0.001, 100))
    ax.set(xlabel="mistakes claimed (% of the group)", ylabel="mistakes made (% of the group)")
    ax.legend(loc="lower right")
    return ax


def coverage(ax: Axes, accuracies: NDArray, chosen_share: float, chosen_accuracy: float) -> Axes:
    """Draw the accuracy on the surest images against the share of images that the network answers.

    Args:
        ax: where to draw.
        accuracies: accuracy on the surest k images, k = 1 to n, shape (n,), values 0 to 1.
        chosen_share: share that the chosen threshold leaves to the network, 0 to 1.
        chosen_accuracy: accuracy on that share, 0 to 1.
    """
    shares = np.arange(1, len(accuracies) + 1) / len(accuracies)
    ax.plot(shares * 100, accuracies * 100, label="all thresholds")
    ax.plot(chosen_share * 100, chosen_accuracy * 100, MARKERS[1], color=COLOURS[1], label="threshold from validation")
    ax.set(title="Accuracy when unsure digits go to a human", xlabel="answered by the network (%)")
    ax.set(ylabel="accuracy on the answered (%)", xlim=(min(80, chosen_share * 100 - 2), 100.5))
    ax.set(ylim=(accuracies[-1] * 100 - 0.2, 100.05))
    ax.legend(loc="lower left")
    return ax
