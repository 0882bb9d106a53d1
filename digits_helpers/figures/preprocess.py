"""Plots of lesson 02: what preprocessing changes."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from digits_helpers.figures import COLOURS, MARKERS, STYLES


def scaling_runs(ax: Axes, accuracies: dict[str, NDArray]) -> Axes:
    """Draw the validation accuracy of several runs per input scale, epoch by epoch.

    Args:
        ax: where to draw.
        accuracies: name to shape (runs, epochs + 1), values 0 to 1; the first column is before training.
    """
    for place, (name, runs) in enumerate(accuracies.items()):
        for number, run in enumerate(runs):
            label = f"{name} pixels, {len(runs)} seeds" if number == 0 else None
            ax.plot(run * 100, STYLES[place], marker=MARKERS[place], color=COLOURS[place], alpha=0.7, label=label)
    ax.set(title="The same small network on raw and on scaled pixels", xlabel="epoch")
    ax.set(ylabel="validation accuracy (%)", ylim=(0, 100))
    ax.legend(loc="lower right")
    return ax


def selection_bias(ax: Axes, scores: NDArray, trials: int) -> Axes:
    """Draw the accuracies of many random guessers and mark the best one.

    Args:
        ax: where to draw.
        scores: accuracies, shape (n,), values 0 to 1.
        trials: labels that each was judged on; bars are as wide as two of them, so that none is short-changed.
    """
    hits = np.round(scores * trials)
    bins = (np.arange(hits.min(), hits.max() + 3, 2) - 0.5) / trials * 100
    ax.hist(hits / trials * 100, bins=bins, color=COLOURS[4], edgecolor="white")
    ax.axvline(10, color="black", linestyle=":", label="true accuracy of every guesser")
    ax.axvline(scores.max() * 100, ymax=0.45, color=COLOURS[1], linestyle="--", label="the one that is reported")
    ax.set(
        title="Accuracy of random guessers on the same labels", xlabel="accuracy (%)", ylabel="guessers", xlim=(5, 20)
    )
    ax.legend(loc="upper right")
    return ax
