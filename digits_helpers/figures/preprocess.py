"""The plots of lesson 02."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from digits_helpers.figures import COLOURS, MARKERS, STYLES


def scaling_runs(ax: Axes, accuracies: dict[str, NDArray[np.float64]]) -> Axes:
    """Draw the validation accuracy of several runs per kind of input, epoch by epoch.

    Args:
        ax: where to draw.
        accuracies: name to shape (runs, epochs + 1), values 0 to 1; the first column is before training.
    """
    for place, (name, runs) in enumerate(accuracies.items()):
        for number, run in enumerate(runs):
            label = f"{name}, {len(runs)} seeds" if number == 0 else None
            ax.plot(run * 100, STYLES[place], marker=MARKERS[place], color=COLOURS[place], alpha=0.7, label=label)
    ax.set(title="The same small network on raw and on scaled pixels", xlabel="epoch (0: before training)")
    ax.set(ylabel="validation accuracy (%)", ylim=(0, 100))
    ax.legend(loc="lower right")
    return ax


def selection_bias(ax: Axes, scores: NDArray[np.float64], labels: int) -> Axes:
    """Draw the accuracies of many random guessers and mark the best one.

    Args:
        ax: where to draw.
        scores: accuracies, shape (n,), values 0 to 1.
        labels: how many labels each was judged on.
    """
    hits = np.round(scores * labels)
    width = max(1, round((hits.max() - hits.min()) / 16))  # whole numbers of hits, so that all bars are equally wide
    bins = (np.arange(hits.min(), hits.max() + width + 1, width) - 0.5) / labels * 100
    bars, _, _ = ax.hist(hits / labels * 100, bins=bins, color=COLOURS[4], edgecolor="white")
    ax.axvline(10, color="black", linestyle=":", ymax=0.8, label="what each of them can do")
    ax.axvline(scores.max() * 100, color=COLOURS[1], linestyle="--", ymax=0.8, label="the one that is reported")
    ax.set(
        title=f"{len(scores)} random guessers on the same {labels:,} labels", xlabel="accuracy (%)", ylabel="guessers"
    )
    ax.set_ylim(0, bars.max() * 1.3)  # room for the legend above the bars
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="upper center", ncols=2)
    return ax
