"""Results of a report, for tests of what reads them; the numbers are those of one real run on MNIST, rounded."""

import copy
import json
from typing import Any

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
HEADLINE = {"test_accuracy": 0.9917, "low": 0.98973, "high": 0.99331, "errors": 83, "n": 10_000}


def sample_evaluation(origin: str = "own", weights: str | None = WEIGHTS) -> dict[str, Any]:
    """What lesson 05 leaves in artifacts/evaluation.json."""
    return {
        "metrics": {
            "test_accuracy": {"value": 0.9917, "low": 0.98973, "high": 0.99331, "n": 10_000},
            "test_loss": {"value": 0.0279},
            "training_accuracy": {"value": 0.9938},
            "validation_accuracy": {"value": 0.9925, "n": 6_000},
            "calibration_error": {"value": 0.0021},
            "coverage": {"value": 0.971, "n": 10_000},
            "accuracy_when_answered": {"value": 0.9987, "low": 0.99775, "high": 0.99925, "n": 9_710},
        },
        "network": {
            "origin": origin,
            "weights_sha256": weights,
            "layers": list(LAYERS),
            "parameter_count": 2_380_938,
        },
        "confusion_matrix": [[980 if row == column else 2 for column in range(10)] for row in range(10)],
    }


def sample_results(origin: str = "own", weights: str | None = WEIGHTS) -> dict[str, Any]:
    """What a verdict is made from: part of the content of a report's results.json."""
    used = {"dataset": "mnist", "seed": 0, "epochs": 10, "batch_size": 128, "network": "own"}
    return {
        "format": 2,
        **sample_evaluation(origin, weights),
        "dataset": {"name": "mnist", "title": "MNIST", "sha256": {"all": DATA}},
        "parameters": {"used": used},
    }


def changed(document: dict[str, Any], value: Any, *path: Any) -> dict[str, Any]:
    """A copy of a document in which one value is another."""
    document = copy.deepcopy(document)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return document


def leave(content: dict[str, Any], name: str = "evaluation.json") -> str:
    """The source of a tiny lesson's cell that leaves a JSON file in the artifacts folder."""
    return f"import pathlib\npathlib.Path('artifacts', {name!r}).write_text({json.dumps(content)!r}, encoding='utf-8')"
