"""Plots of lesson 05: how good a network is."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from digits_helpers.evaluate import Calibration
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
    ax.set(title="Recall of each digit with 95% Wilson interval", xlabel="digit", ylabel="recall (%)")
    ax.set(xticks=range(10), ylim=(None, 100 + 0.05 * (100 - ends.min() * 100)))
    return ax


def reliability(ax: Axes, calibration: Calibration) -> Axes:
    """Draw a reliability diagram: accuracy against confidence, bin by bin.

    Args:
        ax: where to draw.
        calibration: as ``evaluate.calibrate`` returns it.
    """
    filled = calibration.counts > 0
    counts, accuracy, ends = calibration.counts[filled], calibration.accuracy[filled], calibration.intervals[filled]
    gaps = np.abs(ends.T - accuracy) * 100
    ax.plot([0, 100], [0, 100], ":", color="black", label="perfectly calibrated")
    claims = calibration.confidence[filled] * 100
    ax.errorbar(claims, accuracy * 100, gaps, fmt="o", capsize=3, color=COLOURS[0], label="measured, 95% interval")
    for claim, low, count in zip(claims, ends[:, 0] * 100, counts, strict=True):
        ax.text(claim, low - 1.5, f"{count}", ha="center", va="top", fontsize=8)
    ax.set(title="Reliability (number: images in the bin)", xlabel="mean confidence in the bin (%)")
    ax.set(ylabel="right answers (%)", xlim=(0, 103), ylim=(-8, 104))
    ax.legend(loc="upper left")
    return ax


def coverage(ax: Axes, shares: NDArray, accuracies: NDArray, chosen_share: float, chosen_accuracy: float) -> Axes:
    """Draw the accuracy on the surest images against the share of images that the network answers.

    Args:
        ax: where to draw.
        shares: coverage, shape (n,), values 0 to 1.
        accuracies: on the answered images, shape (n,), values 0 to 1.
        chosen_share: coverage of the chosen threshold.
        chosen_accuracy: accuracy at the chosen threshold.
    """
    ax.plot(shares * 100, accuracies * 100, label="all thresholds")
    ax.plot(chosen_share * 100, chosen_accuracy * 100, MARKERS[1], color=COLOURS[1], label="threshold from validation")
    ax.set(title="Accuracy when unsure digits go to a human", xlabel="answered by the network (%)")
    ax.set(
        ylabel="accuracy on the answered (%)",
        xlim=(min(80, chosen_share * 100 - 2), 100.5),
        ylim=(accuracies[-1] * 100 - 0.2, 100.05),
    )
    ax.legend(loc="lower left")
    return ax
