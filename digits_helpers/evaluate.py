"""Judge a trained network: intervals, and the file with what was found (lesson 05)."""

import json
import math
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
        Lower and upper end, between 0 and 1 but for rounding.

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
    return (centre - half_width) / scale, (centre + half_width) / scale


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
