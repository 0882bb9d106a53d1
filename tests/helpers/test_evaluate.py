"""Metrics against published values and calculations by hand, and the file that lesson 05 writes."""

import json

import numpy as np
import pytest

from digits_helpers.evaluate import save_evaluation, wilson_interval
from digits_helpers.model import build_linear
from digits_helpers.train import weights_digest


# (81, 263) is Newcombe's example (Statistics in Medicine 17, 1998, table I): 0.2553 to 0.3662. (0, 20) is the same
# table: 0 to 0.1611. (9917, 10000) is calculated by the formula with z = 1.959964 in 50 digits (Python's decimal).
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (0, 20, 0.0, 0.1611), (20, 20, 0.8389, 1.0), (9917, 10000, 0.98972, 0.99330)],
)
def test_wilson_interval_has_published_values(successes, trials, low, high):
    assert wilson_interval(successes, trials) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


@pytest.mark.parametrize(("successes", "trials"), [(-1, 10), (11, 10), (0, 0)])
def test_wilson_interval_refuses_counts_that_are_no_proportion(successes, trials):
    with pytest.raises(ValueError, match=f"{successes} successes in {trials} trials"):
        wilson_interval(successes, trials)


def test_wilson_interval_widens_with_confidence():
    narrow, wide = wilson_interval(90, 100, 0.8), wilson_interval(90, 100, 0.99)
    assert wide[0] < narrow[0] < 0.9 < narrow[1] < wide[1]


def test_the_evaluation_is_written_in_its_final_shape(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = build_linear()
    metrics = {"test_accuracy": (np.int64(81), 263), "test_loss": np.float32(0.25)}
    save_evaluation(model, "shipped", np.diag(np.arange(10)), metrics)
    evaluation = json.loads((tmp_path / "artifacts" / "evaluation.json").read_text(encoding="utf-8"))
    assert sorted(evaluation) == ["confusion_matrix", "metrics", "network"]
    accuracy = evaluation["metrics"]["test_accuracy"]
    assert accuracy.keys() == {"value", "low", "high", "n"}
    assert accuracy["n"] == 263
    assert (accuracy["low"], accuracy["value"], accuracy["high"]) == pytest.approx((0.2553, 0.3080, 0.3662), abs=1e-4)
    assert evaluation["metrics"]["test_loss"] == {"value": 0.25}
    assert evaluation["network"] == {
        "origin": "shipped",
        "weights_sha256": weights_digest(model),
        "layers": ["Flatten", "Dense 10, softmax"],
        "parameter_count": 7850,
    }
    assert evaluation["confusion_matrix"][9] == [0] * 9 + [9]
