"""Checks on the epoch log, on saved runs, and on the network that ships with the series."""

import json
import os
import re

import numpy as np
import pytest

from digits_helpers.startup import quiet_startup

with quiet_startup():
    import keras

from digits_helpers import train
from digits_helpers.data import load_digits
from digits_helpers.model import build_linear, build_reference, compile_model

HISTORY = {"loss": [0.51234567, 0.25], "accuracy": [0.8, 0.9], "val_loss": [0.4, 0.3], "val_accuracy": [0.85, 0.95]}


@pytest.fixture(scope="module")
def digits():
    return load_digits("embedded")


@pytest.fixture
def recipe(digits):
    return train.make_recipe(digits, seed=3, epochs=2, batch_size=64)


@pytest.fixture
def run(tmp_path, recipe):
    """A folder with a saved run of a small network (which network it is does not matter to the files)."""
    keras.utils.set_random_seed(0)
    train.save_run(tmp_path, compile_model(build_linear()), HISTORY, recipe, seconds=1.26)
    return tmp_path


@pytest.fixture(scope="module")
def shipped(tmp_path_factory, digits):
    """A folder with an untrained reference network in the form in which the series ships one."""
    keras.utils.set_random_seed(0)
    run, folder = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("shipped")
    recipe = train.make_recipe(digits, seed=0, epochs=1, batch_size=128)
    train.save_run(run, compile_model(build_reference()), HISTORY, recipe, seconds=1)
    train.ship_network(run, folder)
    return run, folder


def copy(folder, destination):
    for path in folder.iterdir():
        (destination / path.name).write_bytes(path.read_bytes())
    return destination


def fit_small(callbacks, epochs=2):
    keras.utils.set_random_seed(0)
    images, labels = np.random.default_rng(0).random((64, 28, 28, 1), np.float32), np.eye(10)[np.arange(64) % 10]
    model = compile_model(build_linear())
    model.fit(images, labels, epochs=epochs, batch_size=16, verbose=0, validation_data=(images, labels), callbacks=callbacks)
    return model, images


class Bar:
    """Stands for tqdm's progress bar and remembers what happened to it."""

    def __init__(self, **options):
        self.options, self.ticks, self.closed = options, 0, False

    def update(self):
        self.ticks += 1

    def close(self):
        self.closed = True


def test_epoch_log_prints_a_line_per_epoch_and_no_times(capsys, monkeypatch):
    monkeypatch.setattr(train, "tqdm", Bar)
    fit_small([train.EpochLog()])
    printed = capsys.readouterr()
    assert re.fullmatch(
        r"(epoch  [12]/2: loss \d\.\d{4}, accuracy \d+\.\d%, validation accuracy \d+\.\d%\n){2}",
        printed.out,
    )
    assert printed.err == ""


def test_progress_bar_counts_every_batch_and_goes_away(monkeypatch):
    monkeypatch.setattr(train, "tqdm", Bar)
    log = train.EpochLog()
    fit_small([log])
    assert log.bar.options["total"] == log.bar.ticks == 8  # 64 images in batches of 16, two epochs
    assert log.bar.closed
    assert log.bar.options["leave"] is False


@pytest.mark.parametrize(("value", "disabled"), [("1", True), (None, False)])
def test_progress_bar_can_be_switched_off(monkeypatch, value, disabled):
    monkeypatch.setattr(train, "tqdm", Bar)
    monkeypatch.setenv("TQDM_DISABLE", value) if value else monkeypatch.delenv("TQDM_DISABLE", raising=False)
    log = train.EpochLog()
    fit_small([log], epochs=1)
    assert log.bar.options["disable"] is disabled


def test_epoch_line_without_validation():
    assert train.epoch_line(1, 3, {"loss": 1.0, "accuracy": 0.5}) == "epoch  1/3: loss 1.0000, accuracy 50.0%"


def test_probability_log_starts_before_training_and_follows_every_epoch():
    watch = train.ProbabilityLog(np.zeros((2, 28, 28, 1), np.float32))
    model, _ = fit_small([watch])
    assert len(watch.history) == 3
    assert all(rows.shape == (2, 10) for rows in watch.history)
    # An empty image reaches a linear model as its bias alone, and biases start at zero: a tenth each.
    np.testing.assert_allclose(watch.history[0], 0.1, atol=1e-6)
    np.testing.assert_allclose(watch.history[-1], model.predict(watch.images, verbose=0), atol=1e-6)


def test_saved_run_comes_back_as_it_was(run, recipe):
    loaded = train.load_run(run, recipe)
    keras.utils.set_random_seed(0)
    expected = compile_model(build_linear())
    assert loaded.origin == "own"
    assert loaded.recipe == recipe
    assert loaded.history["loss"] == [0.512346, 0.25]
    assert all(np.array_equal(a, b) for a, b in zip(loaded.model.get_weights(), expected.get_weights(), strict=True))
    assert loaded.digest[:12] in loaded.description
    assert "your lesson 04" in loaded.description


def test_saving_again_replaces_the_older_run(run, recipe):
    keras.utils.set_random_seed(1)
    other = compile_model(build_linear())
    train.save_run(run, other, HISTORY, recipe, seconds=1)
    assert train.load_run(run, recipe).digest == train.weights_digest(other)
    assert sorted(path.name for path in run.iterdir()) == ["reference.keras", "training.json"]


def test_a_run_that_died_while_saving_is_no_run(run, recipe, monkeypatch):
    def die(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "write_json", die)
        with pytest.raises(KeyboardInterrupt):
            train.save_run(run, compile_model(build_linear()), HISTORY, recipe, seconds=1)
    with pytest.raises(train.RunError, match="holds no trained network"):
        train.load_run(run, recipe)


@pytest.mark.parametrize(
    ("name", "value"), [("seed", 4), ("epochs", 3), ("batch_size", 128), ("dataset", "mnist"), ("network", "linear")]
)
def test_a_run_of_another_recipe_is_refused_by_name(run, recipe, name, value):
    with pytest.raises(train.RunError, match=rf"{name} = .* where {value!r} is asked for.*lesson 04"):
        train.load_run(run, {**recipe, name: value})


def test_a_run_of_other_data_under_the_same_name_is_refused(run, recipe):
    with pytest.raises(train.RunError, match="other images or labels under the same name"):
        train.load_run(run, {**recipe, "data_sha256": "0" * 64})


@pytest.mark.parametrize("missing", ["reference.keras", "training.json"])
def test_a_missing_run_names_the_lesson(run, recipe, missing):
    (run / missing).unlink()
    with pytest.raises(train.RunError, match="holds no trained network.*run lesson 04"):
        train.load_run(run, recipe)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"recipe": null}', "null", "\x00"])
def test_a_damaged_record_is_named(run, recipe, content):
    (run / "training.json").write_text(content, encoding="utf-8")
    with pytest.raises(train.RunError, match="training.json .*damaged.*lesson 04"):
        train.load_run(run, recipe)


@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_a_truncated_model_is_named(run, recipe, keep):
    path = run / "reference.keras"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(train.RunError, match="reference.keras .*damaged.*lesson 04"):
        train.load_run(run, recipe)


def test_a_model_that_is_not_the_recorded_one_is_refused(run, recipe):
    keras.utils.set_random_seed(9)
    compile_model(build_linear()).save(run / "reference.keras")
    with pytest.raises(train.RunError, match="are not the ones that training.json describes"):
        train.load_run(run, recipe)


def test_shipping_rounds_to_float16_and_stays_small(shipped, monkeypatch):
    run, folder = shipped
    monkeypatch.setenv("DIGITS_NETWORKS_DIR", str(folder))
    network = train.load_shipped()
    original = train.load_run(run, network.recipe)
    assert network.origin == "shipped"
    assert (folder / "reference.npz").stat().st_size < 5_000_000
    for rounded, exact in zip(network.model.get_weights(), original.model.get_weights(), strict=True):
        assert np.array_equal(rounded, exact.astype(np.float16).astype(np.float32))
    assert network.digest == train.weights_digest(network.model)
    assert network.history == original.history


def test_shipping_twice_gives_the_same_bytes(shipped, tmp_path):
    run, folder = shipped
    train.ship_network(run, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


def test_shipping_without_a_run_says_so(tmp_path):
    with pytest.raises(train.RunError, match="holds no trained network"):
        train.ship_network(tmp_path, tmp_path)


def _flip(data):
    return data[:100_000] + bytes([data[100_000] ^ 1]) + data[100_001:]


DAMAGES = {
    "weights missing": ("reference.npz", None),
    "record missing": ("reference.json", None),
    "weights truncated": ("reference.npz", lambda data: data[: len(data) // 2]),
    "weights empty": ("reference.npz", lambda data: b""),
    "one bit flipped": ("reference.npz", _flip),
    "a web page": ("reference.npz", lambda data: b"<html>not found</html>"),
    "record empty": ("reference.json", lambda data: b""),
    "record without digest": ("reference.json", lambda data: data.replace(b"weights_sha256", b"other")),
    "record of another network": ("reference.json", lambda data: re.sub(rb'(sha256": ")[0-9a-f]', rb"\1x", data)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shipped_network_is_named(shipped, tmp_path, monkeypatch, damage):
    name, change = DAMAGES[damage]
    path = copy(shipped[1], tmp_path) / name
    path.unlink() if change is None else path.write_bytes(change(path.read_bytes()))
    monkeypatch.setenv("DIGITS_NETWORKS_DIR", str(tmp_path))
    with pytest.raises(train.RunError, match="ships with the series is missing or damaged: install"):
        train.load_shipped()


def test_pickled_weights_are_not_unpickled(shipped, tmp_path, monkeypatch):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.savez(copy(shipped[1], tmp_path) / "reference.npz", weights_0=np.array([Trap()], dtype=object))
    monkeypatch.setenv("DIGITS_NETWORKS_DIR", str(tmp_path))
    with pytest.raises(train.RunError, match="damaged"):
        train.load_shipped()
    assert not (tmp_path / "sprung").exists()


def test_the_spread_of_trainings_belongs_to_the_shipped_recipe():
    groups = train.load_spread()
    assert list(groups) == ["one seed, several kinds of machine", "several seeds, one kind of machine"]
    one_seed, one_kind = groups.values()
    assert {run["seed"] for run in one_seed} == {0}
    assert len({(run["threads"], run["kind"]) for run in one_seed}) == len(one_seed) >= 3
    assert len({(run["threads"], run["kind"]) for run in one_kind}) == 1
    assert len({run["seed"] for run in one_kind}) == len(one_kind) >= 3
    assert all(0.98 < run["validation_accuracy"] < 1 for run in one_seed + one_kind)
    networks = train.shipped_folder()
    recipes = [json.loads((networks / name).read_text(encoding="utf-8"))["recipe"] for name in ("spread.json", "reference.json")]
    assert recipes[0] == {name: value for name, value in recipes[1].items() if name != "seed"}


@pytest.mark.parametrize("content", [None, "", "[]", "{}"])
def test_a_damaged_spread_is_named(tmp_path, monkeypatch, content):
    if content is not None:
        (tmp_path / "spread.json").write_text(content, encoding="utf-8")
    monkeypatch.setenv("DIGITS_NETWORKS_DIR", str(tmp_path))
    with pytest.raises(train.RunError, match=r"spread\.json that ships with the series is missing or damaged: install"):
        train.load_spread()


class Mnist:
    """Stands for MNIST where only its name counts."""

    name, title, digest = "mnist", "MNIST", "0" * 64


def test_auto_takes_the_own_network_where_there_is_one(run, recipe, digits):
    assert train.load_network("auto", digits, run, recipe).origin == "own"


def test_auto_takes_the_shipped_network_on_mnist_otherwise(tmp_path, shipped, recipe, monkeypatch):
    monkeypatch.setenv("DIGITS_NETWORKS_DIR", str(shipped[1]))
    assert train.load_network("auto", Mnist, tmp_path, recipe).origin == "shipped"
    assert train.load_network("shipped", Mnist, tmp_path, recipe).origin == "shipped"


def test_auto_does_not_pass_over_an_own_network_of_another_recipe(run, recipe, shipped, monkeypatch):
    monkeypatch.setenv("DIGITS_NETWORKS_DIR", str(shipped[1]))
    with pytest.raises(train.RunError, match="trained with dataset = 'embedded' where 'mnist'"):
        train.load_network("auto", Mnist, run, {**recipe, "dataset": "mnist"})


def test_own_without_a_run_stops_on_mnist_too(tmp_path, recipe):
    with pytest.raises(train.RunError, match="run lesson 04"):
        train.load_network("own", Mnist, tmp_path, recipe)


def test_other_data_than_mnist_need_an_own_network(tmp_path, digits, recipe):
    with pytest.raises(train.RunError, match="run lesson 04"):
        train.load_network("auto", digits, tmp_path, recipe)
    with pytest.raises(train.RunError, match="was trained on MNIST.*run lesson 04"):
        train.load_network("shipped", digits, tmp_path, recipe)


def test_the_network_in_the_package_is_whole_and_made_by_the_reference_recipe(monkeypatch):
    monkeypatch.delenv("DIGITS_NETWORKS_DIR", raising=False)
    network = train.load_shipped()
    assert network.model.count_params() == 2_380_938
    recipe = network.recipe
    assert (recipe["dataset"], recipe["seed"], recipe["epochs"], recipe["batch_size"]) == ("mnist", 0, 10, 128)
    assert len(network.history["val_accuracy"]) == 10


def test_the_network_in_the_package_reaches_its_accuracy(mnist, monkeypatch):
    monkeypatch.delenv("DIGITS_NETWORKS_DIR", raising=False)
    from digits_helpers.preprocess import prepare_test

    network = train.load_shipped()
    assert network.recipe["data_sha256"] == mnist.digest
    images, labels = prepare_test(mnist)
    predictions = network.model.predict(images, batch_size=500, verbose=0).argmax(axis=1)
    # 99.0 % is what the series promises of the reference recipe; it was measured at 99.2 %.
    assert np.mean(predictions == labels) >= 0.99


def test_the_stored_lesson_05_shows_the_network_in_the_package():
    from pathlib import Path

    digest = json.loads((train.shipped_folder() / "reference.json").read_text(encoding="utf-8"))["weights_sha256"]
    notebook = (Path(__file__).parents[1] / "notebooks" / "05_evaluate.ipynb").read_text(encoding="utf-8")
    assert f"shipped with the series, weights {digest[:12]}" in notebook
