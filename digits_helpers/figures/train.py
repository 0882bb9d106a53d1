"""The plots of lesson 04: how a training goes."""

import math

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from digits_helpers.figures import COLOURS, MARKERS, STYLES


def loss_curve(ax: Axes, weights: NDArray[np.float64], losses: list[float]) -> Axes:
    """Draw the loss of a network with one weight against this weight, and mark the lowest point.

    Args:
        ax: where to draw.
        weights: in ascending order, shape (n,).
        losses: one per weight.
    """
    lowest = int(np.argmin(losses))
    ax.plot(weights, losses)
    ax.plot(weights[lowest], losses[lowest], MARKERS[0], color=COLOURS[1])
    ax.annotate("lowest", (weights[lowest], losses[lowest]), xytext=(0, 9), textcoords="offset points", ha="center")
    ax.set(title="One weight and its loss", xlabel="weight", ylabel="loss", ylim=(0, None))
    return ax


def descent(ax: Axes, courses: dict[float, list[float]]) -> Axes:
    """Draw the loss, step by step, for several learning rates.

    Args:
        ax: where to draw.
        courses: learning rate to the losses before the first and after each step.
    """
    for place, (learning_rate, losses) in enumerate(courses.items()):
        ax.plot(losses, STYLES[place], marker=MARKERS[place], markersize=4, label=f"learning rate {learning_rate:g}")
    ax.set(title="Gradient descent on one weight", xlabel="step (0: before the first)", ylabel="loss", ylim=(0, None))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="upper right")
    return ax


def precision_recall(ax: Axes, probabilities: NDArray[np.float32], truth: NDArray[np.bool_]) -> Axes:
    """Draw precision and recall of a yes-or-no answer against the threshold.

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
    ax.plot(thresholds, precision, STYLES[0], label="precision: share of 5s among the images called a 5")
    ax.plot(thresholds, found / truth.sum() * 100, STYLES[1], label="recall: share of the 5s that are called a 5")
    ax.set(title="Is it a 5? Precision and recall by threshold", xlabel="threshold", ylabel="share (%)")
    ax.set(xlim=(0, 1), ylim=(0, 102))
    ax.legend(loc="lower center")
    return ax


def learning_curves(ax: Axes, histories: list[dict[str, list[float]]], metric: str, title: str) -> Axes:
    """Draw one metric of several runs of the same training, for the training and the validation images.

    The axis ends at round values. Limits that follow the data to the last digit would move everything in the figure
    from one machine to the next.

    Args:
        ax: where to draw.
        histories: Keras's histories, metric name to one value per epoch; at least one.
        metric: "loss", or "accuracy" (drawn in percent).
        title: above the curves.
    """
    percent = metric == "accuracy"
    for place, (key, label) in enumerate([(metric, "training"), (f"val_{metric}", "validation")]):
        curves = np.array([history[key] for history in histories]).T * (100 if percent else 1)
        marker = MARKERS[place] if len(histories) == 1 else None
        epochs = range(1, len(curves) + 1)
        lines = ax.plot(epochs, curves, STYLES[place], color=COLOURS[place], marker=marker, alpha=0.85)
        lines[0].set_label(label)
    values = np.concatenate([line.get_ydata() for line in ax.lines])
    step = 0.05 if values.max() < 0.5 else 0.5
    limits = (
        (max(0, math.floor(values.min() - 0.5)), 100) if percent else (0, step * math.ceil(values.max() / step + 0.1))
    )
    ax.set(title=title, xlabel="epoch", ylabel=f"{metric} (%)" if percent else metric)
    ax.set(xlim=(0.5, len(curves) + 0.5), ylim=limits)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="lower right" if percent else "upper right")
    return ax
