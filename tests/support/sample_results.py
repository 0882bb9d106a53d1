"""Results of a report, for tests of what reads them; the numbers are those of one real run on MNIST, rounded."""

from __future__ import annotations

import json
from typing import Any

from tiny_lessons import PARAMETERS

LAYERS = [
    "Conv2D 32, 3×3, relu",
    "Conv2D 64, 3×3, relu",
    "MaxPooling2D 2×2",
    "Dropout 0.25",
    "Flatten",
    "Dense 256, relu",
    "Dropout 0.5",
    "Dense 10, softmax",
]
WEIGHTS, DATA = "ab" * 32, "cd" * 32


def sample_evaluation(origin: str = "own", weights: str = WEIGHTS) -> dict[str, Any]:
    """What lesson 05 leaves in the artifacts folder."""
    return {
        "headline": {"test_accuracy": 0.9917, "low": 0.98973, "high": 0.99331, "errors": 83, "n": 10_000},
        "metrics": {
            "test_accuracy": {"value": 0.9917, "low": 0.98973, "high": 0.99331, "n": 10_000},
            "test_loss": {"value": 0.0279},
            "training_accuracy": {"value": 0.9938},
            "validation_accuracy": {"value": 0.9925, "n": 6_000},
            "calibration_error": {"value": 0.0021},
            "coverage": {"value": 0.971, "n": 10_000},
            "accuracy_when_answered": {"value": 0.9987, "low": 0.99775, "high": 0.99925, "n": 9_710},
        },
        "network": origin,
        "weights_sha256": weights,
        "layers": list(LAYERS),
        "parameter_count": 2_380_938,
    }


def sample_results(origin: str = "own", weights: str = WEIGHTS) -> dict[str, Any]:
    """What a verdict is made from: part of the content of a report's results.json."""
    left = sample_evaluation(origin, weights)
    network = {name: left[name] for name in ("weights_sha256", "layers", "parameter_count")}
    return {
        "format": 1,
        "metrics": left["metrics"],
        "network": {"origin": origin, **network, "training_seconds": 468.0},
        "dataset": {"name": "mnist", "title": "MNIST", "sha256": {"all": DATA}},
        "parameters": {"used": {"dataset": "mnist", "seed": 0, "epochs": 10, "batch_size": 128, "network": "own"}},
    }


def leave(name: str, content: dict[str, Any]) -> str:
    """Write the cell of a tiny lesson that leaves a JSON file in the artifacts folder."""
    return (
        "import os, pathlib\n"
        f"path = pathlib.Path(os.environ['DIGITS_ARTIFACTS_DIR']) / {name!r}\n"
        f"path.write_text({json.dumps(content)!r}, encoding='utf-8')"
    )


LESSON_05_PARAMETERS = f'{PARAMETERS}\nnetwork = "auto"'
