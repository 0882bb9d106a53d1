"""Metrics against published values and calculations by hand, and the file that lesson 05 writes."""

import json

import numpy as np
import pytest

from digits_helpers.evaluate import (
    calibrate,
    coverage_curve,
    save_evaluation,
    wilson_interval,
    worst_mistakes,
)
from digits_helpers.model import build_linear
from digits_helpers.train import weights_digest


@pytest.fixture
def answers():
    """Random labels and probabilities: 500 images, right in about two of five."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, 500)
    scores = generator.normal(size=(500, 10))
    scores[np.arange(500), labels] += 1.2
    powers = np.exp(scores)
    return labels, (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


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


def test_worst_mistakes_are_wrong_and_in_order_of_their_loss(answers):
    labels, probabilities = answers
    worst = worst_mistakes(probabilities, labels, count=12)
    of_truth = probabilities[worst, labels[worst]]
    wrong = probabilities.argmax(axis=1) != labels
    assert len(worst) == 12
    assert wrong[worst].all()
    assert (np.diff(of_truth) >= 0).all()
    assert of_truth.max() <= np.delete(probabilities[np.arange(500), labels], worst)[np.delete(wrong, worst)].min()


def test_worst_mistakes_of_a_perfect_network_are_none():
    assert len(worst_mistakes(np.eye(10, dtype=np.float32), np.arange(10))) == 0


def test_calibration_by_hand():
    # Four images with confidence 0.65, three of them right; two with 1.0, both right.
    probabilities = np.array([[0.65, 0.35]] * 4 + [[1.0, 0.0]] * 2)
    calibration = calibrate(probabilities, np.array([0, 0, 0, 1, 0, 0]))
    assert calibration.counts.tolist() == [0, 0, 0, 0, 0, 0, 4, 0, 0, 2]
    assert calibration.accuracy[6] == 0.75
    assert calibration.confidence[6] == pytest.approx(0.65)
    assert np.isnan(calibration.accuracy[0])
    assert np.isnan(calibration.intervals[0]).all()
    assert tuple(calibration.intervals[6]) == wilson_interval(3, 4)
    assert calibration.error == pytest.approx(4 / 6 * 0.10)


def test_calibration_of_an_honest_guesser_is_small():
    # 100,000 answers that are right exactly as often as they claim: the error is sampling noise, about 1e-3.
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.5, 1, 100_000)
    labels = (generator.uniform(size=100_000) > confidence).astype(int)
    assert calibrate(np.stack([confidence, 1 - confidence], axis=1), labels).error < 0.01


def test_coverage_curve_by_hand():
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    shares, accuracies = coverage_curve(probabilities, np.array([1, 0, 1, 1]))
    assert shares.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert accuracies.tolist() == [1.0, 1.0, 1.0, 0.75]  # the least sure answer, 0.6, is the wrong one


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
