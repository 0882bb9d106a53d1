"""Judge a trained network: metrics with intervals, mistakes, calibration (lesson 05)."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import keras
import numpy as np
from numpy.typing import NDArray

from digits_helpers.model import describe_layers
from digits_helpers.train import weights_digest


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Compute the Wilson score interval of a proportion.

    Introduced in lesson 05. Source: E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", Journal of the American Statistical Association 22 (1927).

    Args:
        successes: how many of the trials succeeded, 0 to ``trials``.
        trials: number of trials, at least 1.
        confidence: share of such intervals that cover the true proportion in the long run, between 0 and 1.

    Returns:
        Lower and upper end, between 0 and 1.

    Raises:
        ValueError: the counts do not describe a proportion.

    >>> [round(end, 4) for end in wilson_interval(9917, 10000)]
    [0.9897, 0.9933]
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} successes in {trials} trials: needed is 0 <= successes <= trials, trials >= 1.")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    centre = share + z**2 / (2 * trials)
    half_width = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    return max(0.0, (centre - half_width) / scale), min(1.0, (centre + half_width) / scale)


def worst_mistakes(probabilities: NDArray[np.float32], labels: NDArray, count: int = 12) -> NDArray[np.int64]:
    """Find the mistakes in which the network gave the true class the least.

    Introduced in lesson 05. The order is by the cross-entropy loss of the image, largest first.

    Args:
        probabilities: shape (n, classes), rows sum to 1.
        labels: true classes, shape (n,).
        count: how many to return at most.

    Returns:
        Indices of wrongly predicted images, worst first; fewer than ``count`` if there are fewer mistakes.
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    of_truth = probabilities[wrong, labels[wrong]]
    return wrong[np.argsort(of_truth, kind="stable")][:count]


@dataclass(frozen=True)
class Calibration:
    """How often the network is right, by how sure it is.

    Attributes:
        edges: ends of the bins of confidence, shape (bins + 1,).
        counts: images per bin, shape (bins,).
        confidence: mean confidence per bin, nan where the bin is empty.
        accuracy: share of right answers per bin, nan where the bin is empty.
        intervals: lower and upper end of the accuracy's 95% Wilson interval, shape (bins, 2), nan as above.
        error: expected calibration error, the mean gap between the two, weighted by the counts.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    intervals: NDArray[np.float64]
    error: float


def calibrate(probabilities: NDArray[np.float32], labels: NDArray, bins: int = 10) -> Calibration:
    """Compare confidence (the largest probability) with the share of right answers.

    Introduced in lesson 05. Source of the expected calibration error: C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger,
    "On Calibration of Modern Neural Networks", ICML 2017.

    Args:
        probabilities: shape (n, classes), rows sum to 1.
        labels: true classes, shape (n,).
        bins: number of equally wide bins between 0 and 1.

    Returns:
        Per bin the count, mean confidence, accuracy and its interval, and the expected calibration error.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    sums = np.bincount(place, confidence, bins), np.bincount(place, right.astype(float), bins)
    means = [np.divide(total, counts, out=np.full(bins, np.nan), where=counts > 0) for total in sums]
    error = float(np.abs(sums[0] - sums[1]).sum() / len(labels))
    hits = sums[1].astype(int).tolist()
    intervals = np.array(
        [wilson_interval(*pair) if pair[1] else (np.nan,) * 2 for pair in zip(hits, counts.tolist(), strict=True)]
    )
    return Calibration(edges, counts, means[0], means[1], intervals, error)


def coverage_curve(probabilities: NDArray[np.float32], labels: NDArray) -> tuple[NDArray, NDArray]:
    """Compute the accuracy on the surest images, for every share of images that the network answers itself.

    Introduced in lesson 05. Known as the risk-coverage curve of selective classification: R. El-Yaniv, Y. Wiener,
    "On the Foundations of Noise-free Selective Classification", JMLR 11 (2010).

    Args:
        probabilities: shape (n, classes), rows sum to 1.
        labels: true classes, shape (n,).

    Returns:
        Coverage (share of images answered, in (0, 1]) and accuracy on them, both float64 of shape (n,).
    """
    surest_first = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = (probabilities.argmax(axis=1) == labels)[surest_first]
    answered = np.arange(1, len(labels) + 1)
    return answered / len(labels), np.cumsum(right) / answered


def save_evaluation(
    model: keras.Model,
    network: str,
    confusion_matrix: NDArray[np.integer],
    metrics: dict[str, float | tuple[int, int]],
    path: str | Path = "artifacts/evaluation.json",
) -> None:
    """Write down what lesson 05 found out, for the report and for comparisons with other runs.

    Args:
        model: the network that was judged.
        network: "own" or "shipped", as in `network_path`.
        confusion_matrix: counts, shape (10, 10), row = true class, column = answer.
        metrics: name to a value, or to a pair (successes, trials), which becomes their ratio with its 95% Wilson
            interval.
        path: where to write; the folder is made where it is missing.
    """
    facts = {
        "metrics": {name: _metric(measured) for name, measured in metrics.items()},
        "network": {
            "origin": network,
            "weights_sha256": weights_digest(model),
            "layers": describe_layers(model),
            "parameter_count": model.count_params(),
        },
        "confusion_matrix": np.asarray(confusion_matrix).tolist(),
    }
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _metric(measured: float | tuple[int, int]) -> dict[str, float | int]:
    if not isinstance(measured, tuple):
        return {"value": round(float(measured), 6)}
    successes, trials = map(int, measured)
    low, high = wilson_interval(successes, trials)
    return {"value": round(successes / trials, 6), "low": round(low, 6), "high": round(high, 6), "n": trials}
