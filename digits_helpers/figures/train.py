"""Plots of lesson 04: how a training goes."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from digits_helpers.figures import COLOURS, MARKERS, STYLES


def precision_recall(ax: Axes, probabilities: NDArray, truth: NDArray[np.bool_]) -> Axes:
    """Draw precision and recall of a two-class answer against the threshold.

    Args:
        ax: where to draw.
        probabilities: of the answer "yes", shape (n,), values 0 to 1.
        truth: whether "yes" is right, shape (n,).
    """
    thresholds = np.linspace(0.02, 0.98, 49)
    yes = probabilities[:, np.newaxis] >= thresholds
    found = (yes & truth[:, np.newaxis]).sum(axis=0)
    called = yes.sum(axis=0)
    precision = np.divide(found * 100, called, out=np.full(len(thresholds), np.nan), where=called > 0)
    ax.plot(thresholds, precision, STYLES[0], label="precision: right among the called")
    ax.plot(thresholds, found / truth.sum() * 100, STYLES[1], label="recall: called among the 5s")
    ax.set(title="Is it a 5? Precision and recall by threshold", xlabel="threshold", ylabel="share (%)", ylim=(0, 102))
    ax.legend(loc="lower center")
    return ax


def fit_curves(ax: Axes, histories: list[dict[str, list[float]]], title: str) -> Axes:
    """Draw training and validation loss of several runs of one setting.

    Args:
        ax: where to draw.
        histories: Keras's histories with ``loss`` and ``val_loss``.
        title: above the curves.
    """
    for number, history in enumerate(histories):
        epochs = range(1, len(history["loss"]) + 1)
        labels = ("training", "validation") if number == 0 else (None, None)
        ax.plot(epochs, history["loss"], STYLES[0], color=COLOURS[0], alpha=0.8, label=labels[0])
        ax.plot(epochs, history["val_loss"], STYLES[1], color=COLOURS[1], alpha=0.8, label=labels[1])
    ax.set(title=f"{title}, {len(histories)} seeds", xlabel="epoch", ylabel="loss", ylim=(0, 2.5))
    ax.legend()
    return ax


def learning_curve(ax: Axes, history: dict[str, list[float]], metric: str) -> Axes:
    """Draw one metric of a training run, for training and validation.

    The axis ends at round values. Limits that follow the data to the last digit would move everything in the figure
    from one machine to the next.

    Args:
        ax: where to draw.
        history: Keras's history.
        metric: "loss", or "accuracy" (drawn in percent).
    """
    factor, unit = (100, " (%)") if metric == "accuracy" else (1, "")
    drawn = np.concatenate([history[metric], history[f"val_{metric}"]]) * factor
    if metric == "accuracy":
        limits = (min(95, 5 * math.floor(drawn.min() / 5)), 100)
    else:
        step = 0.05 if drawn.max() < 0.5 else 0.5
        limits = (0, step * math.ceil(drawn.max() / step))
    for place, (key, label) in enumerate([(metric, "training (with dropout)"), (f"val_{metric}", "validation")]):
        values = np.array(history[key]) * factor
        ax.plot(range(1, len(values) + 1), values, STYLES[place], marker=MARKERS[place], label=label)
    ax.set(title=f"Reference network: {metric}", xlabel="epoch", ylabel=f"{metric}{unit}", ylim=limits)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="lower right" if metric == "accuracy" else "upper right")
    return ax


def probability_course(ax: Axes, course: NDArray, truth: int) -> Axes:
    """Draw the ten probabilities of one image, epoch by epoch, as a heat map with numbers.

    Args:
        ax: where to draw.
        course: shape (epochs + 1, 10), rows sum to 1; the first row is before training.
        truth: the true class, 0 to 9.
    """
    ax.imshow(course.T, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    for (epoch, digit), probability in np.ndenumerate(course):
        if probability >= 0.005:
            colour = "white" if probability > 0.6 else "black"
            ax.text(epoch, digit, f"{probability * 100:.0f}", ha="center", va="center", fontsize=7, color=colour)
    frame = Rectangle((-0.5, truth - 0.5), len(course), 1, fill=False, edgecolor=COLOURS[1], linewidth=2)
    ax.add_patch(frame).set_clip_on(False)  # at the edge of the axes half of its line would be cut off
    ax.set(title="Probability of each digit (%), frame: the label", xlabel="epoch (0: before training)", ylabel="digit")
    ax.set(yticks=range(10))
    ax.xaxis.get_major_locator().set_params(integer=True)
    return ax
