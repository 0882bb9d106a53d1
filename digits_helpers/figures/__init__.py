"""Every plot of the series, one function each; and how a figure is shown with its finding (all lessons).

A plotting function takes data and an ``Axes``, draws, and returns the ``Axes``. It never loads, trains or seeds.
"""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

if TYPE_CHECKING:
    from digits_helpers.evaluate import Calibration

# Colours that colour-blind readers can tell apart. Source: M. Okabe and K. Ito, "Color Universal Design" (2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
STYLES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
INK = "gray_r"
DOTS_PER_INCH = 144
SCREEN_DOTS_PER_INCH = 96


def use_theme() -> None:
    """Set the one look of all figures; every lesson calls it once."""
    plt.rcParams.update(plt.rcParamsDefault)
    plt.rcParams.update(
        {
            "figure.figsize": (6.4, 3.6),
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "font.family": "DejaVu Sans",
            "font.size": 10,
            "axes.titlesize": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": False,
            "axes.prop_cycle": plt.cycler(color=COLOURS),
            "legend.frameon": False,
            "lines.linewidth": 1.6,
        }
    )


def show(figure: Figure, finding: str) -> None:
    """Show a figure with its finding: as alternative text of the image, and as a caption that everybody sees.

    The image carries no creation date and no version, so that the same figure gives the same bytes. The words in the
    figure are stored beside it: pixels of a figure that a training drew are compared with a tolerance, words never.

    Args:
        figure: the finished figure; it is closed afterwards.
        finding: one sentence, written from the data, that says what the figure shows.
    """
    from IPython.display import Markdown, display

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    plt.close(figure)
    width = round(figure.get_figwidth() * SCREEN_DOTS_PER_INCH)
    image = base64.b64encode(buffer.getvalue()).decode("ascii")
    metadata = {"image/png": {"alt": finding, "width": width}, "digits": {"words": words(figure)}}
    display({"image/png": image, "text/plain": finding}, metadata=metadata, raw=True)
    display(Markdown(f"*{finding}*"))


def words(figure: Figure) -> list[str]:
    """List what a figure says in words: titles, axis labels, legends and the numbers at the axes, axes by axes.

    Args:
        figure: the finished figure.

    Returns:
        The texts that are not empty, in the order in which the axes were made. The numbers at an axis are one text.
    """
    figure.draw_without_rendering()  # only then it is known which numbers stand at an axis
    found = []
    for ax in figure.axes:
        legend = ax.get_legend()
        found += [ax.get_title(), ax.get_xlabel(), ax.get_ylabel()]
        found += [text.get_text() for text in legend.get_texts()] if legend else []
        for axis in (ax.xaxis, ax.yaxis) if ax.axison else ():
            low, high = sorted(axis.get_view_interval())
            shown = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            found.append(" ".join(text.get_text() for text in shown if text.get_visible() and text.get_text()))
    return [text for text in found if text]


def one_image(ax: Axes, image: NDArray, title: str = "") -> Axes:
    """Draw one greyscale image, dark ink on light paper.

    Args:
        ax: where to draw.
        image: shape (height, width), uint8 in 0 to 255 or float in [0, 1].
        title: above the image.
    """
    ax.imshow(image, cmap=INK, vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
    ax.set(title=title, xlabel="column (pixel)", ylabel="row (pixel)")
    return ax


def image_grid(ax: Axes, images: NDArray, columns: int, titles: list[str]) -> Axes:
    """Draw images in a grid, each under its title.

    Args:
        ax: where to draw.
        images: shape (n, height, width), values 0 to 255.
        columns: images per row.
        titles: n strings, of one or two lines.
    """
    height, width = images.shape[1:]
    head = 10 * (1 + max(title.count("\n") for title in titles))
    rows = -(-len(images) // columns)
    canvas = np.zeros((rows * (height + head), columns * (width + 6)))
    for place, (image, title) in enumerate(zip(images, titles, strict=True)):
        top, left = (place // columns) * (height + head) + head, (place % columns) * (width + 6) + 3
        canvas[top : top + height, left : left + width] = image
        ax.text(left + width / 2, top - 1, title, ha="center", va="bottom", fontsize=9)
    ax.imshow(canvas, cmap=INK, vmin=0, vmax=255)
    ax.set_axis_off()
    return ax


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
    ax.bar(digits + width / 2, test_counts / test_counts.sum() * 100, width, label="test set", hatch="//", edgecolor="white")
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


def confusion(ax: Axes, matrix: NDArray, title: str) -> Axes:
    """Draw a confusion matrix of counts; the darker a cell beside the diagonal, the more mistakes.

    Args:
        ax: where to draw.
        matrix: counts, shape (10, 10), row = true class, column = answer.
        title: above the matrix.
    """
    mistakes = matrix - np.diag(np.diag(matrix))
    ax.imshow(mistakes, cmap="Greys", vmin=0, vmax=max(1, mistakes.max() * 1.25))
    for (row, column), count in np.ndenumerate(matrix):
        if row == column:
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="#cfe8f7"))
        dark = row != column and count > 0.8 * mistakes.max()
        colour = "white" if dark else "black"
        ax.text(column, row, f"{count}" if count else "·", ha="center", va="center", fontsize=9, color=colour)
    ax.set(title=f"{title} (diagonal: right)", xlabel="answer", ylabel="true digit")
    ax.set(xticks=range(10), yticks=range(10))
    return ax


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
    ax.set(title="Accuracy of random guessers on the same labels", xlabel="accuracy (%)", ylabel="guessers", xlim=(5, 20))
    ax.legend(loc="upper right")
    return ax


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
    for claim, low, count in zip(claims, ends[:, 0] * 100, counts):
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
    ax.set(ylabel="accuracy on the answered (%)", xlim=(min(80, chosen_share * 100 - 2), 100.5), ylim=(accuracies[-1] * 100 - 0.2, 100.05))
    ax.legend(loc="lower left")
    return ax
