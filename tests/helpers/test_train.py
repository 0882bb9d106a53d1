"""The record of a training, the path of a network, and the network that comes with the series."""

import json
import zipfile

import keras
import numpy as np
import pytest

from digits_helpers import train
from digits_helpers.evaluate import wilson_interval
from digits_helpers.model import build_linear, build_reference, describe_layers
from digits_helpers.preprocess import prepare_test
from digits_helpers.train import RunError


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory, embedded):
    """A folder in which a short training of a small network is saved, as lesson 04 saves its own."""
    folder = tmp_path_factory.mktemp("run") / "artifacts"
    folder.mkdir()
    keras.utils.set_random_seed(0)
    model = build_linear()
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    x, y = prepare_test(embedded)
    history = model.fit(x, y, batch_size=64, epochs=2, validation_data=(x[:50], y[:50]), verbose=0)
    model.save(folder / "reference.keras")
    train.save_record(folder / "reference.json", embedded, history, seed=3, epochs=2, batch_size=64)
    return folder


@pytest.fixture(scope="module")
def shipped(tmp_path_factory, artifacts):
    """The same network as it would come with the series."""
    folder = tmp_path_factory.mktemp("shipped") / "networks"
    train.ship_network(artifacts, folder)
    return folder


def test_a_record_comes_back_as_it_was(artifacts, embedded):
    record = train.load_record(artifacts / "reference.json")
    history = record.pop("history")
    assert record == {
        "dataset": "embedded",
        "data_sha256": embedded.digest,
        "seed": 3,
        "epochs": 2,
        "batch_size": 64,
    }
    assert sorted(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert all(values == [round(value, 6) for value in values] and len(values) == 2 for values in history.values())


@pytest.mark.parametrize("content", [None, "", "{", "[]", "{}", "null", "\x00"])
def test_a_missing_or_damaged_record_names_the_lesson(tmp_path, content):
    path = tmp_path / "reference.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match="reference.json.*lesson 04"):
        train.load_record(path)


def test_the_own_network_is_in_the_current_folder(artifacts, monkeypatch):
    monkeypatch.chdir(artifacts.parent)
    assert train.network_path("own").samefile(artifacts / "reference.keras")


def test_without_an_own_network_the_lesson_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="lesson 04"):
        train.network_path("own")


def test_the_folder_of_the_shipped_network_can_be_chosen(shipped, tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITS_NETWORKS_DIR", str(shipped))
    assert train.network_path("shipped") == shipped / "reference.keras"
    monkeypatch.setenv("DIGITS_NETWORKS_DIR", str(tmp_path))
    with pytest.raises(RunError, match="install the package again"):
        train.network_path("shipped")


@pytest.mark.parametrize("network", ["auto", "", None, 5])
def test_an_unknown_network_is_named(network):
    with pytest.raises(RunError, match='only "own" and "shipped"') as caught:
        train.network_path(network)
    assert repr(network) in str(caught.value)


@pytest.mark.filterwarnings("error::UserWarning")
def test_the_shipped_network_is_the_trained_one_rounded(artifacts, shipped):
    own = keras.models.load_model(artifacts / "reference.keras")
    model = keras.models.load_model(shipped / "reference.keras")
    for rounded, exact in zip(model.get_weights(), own.get_weights(), strict=True):
        assert rounded.dtype == np.float32
        assert np.array_equal(rounded, exact.astype(np.float16).astype(np.float32))
    assert describe_layers(model) == describe_layers(own)
    record = train.load_record(shipped / "reference.json")
    assert record.pop("weights_sha256") == train.weights_digest(model)
    assert record == train.load_record(artifacts / "reference.json")


def test_the_shipped_network_is_compiled_and_remembers_nothing_of_its_training(artifacts, shipped, embedded):
    own = keras.models.load_model(artifacts / "reference.keras")
    model = keras.models.load_model(shipped / "reference.keras")
    x, y = prepare_test(embedded)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(own.evaluate(x, y, verbose=0), abs=1e-3)
    assert int(own.optimizer.iterations) > int(model.optimizer.iterations) == 0
    assert float(model.optimizer.learning_rate) == float(own.optimizer.learning_rate)


def test_the_same_network_is_shipped_as_the_same_bytes(artifacts, shipped, tmp_path):
    train.ship_network(artifacts, tmp_path)
    for path in shipped.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    with zipfile.ZipFile(tmp_path / "reference.keras") as archive:
        assert {member.date_time[0] for member in archive.infolist()} == {1980}
        assert b"shared_object_id" not in archive.read("config.json")


@pytest.mark.parametrize("damage", ["no record", "no network", "damaged network"])
def test_nothing_is_shipped_without_a_whole_training(artifacts, tmp_path, damage):
    for path in artifacts.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[: 100 if damage == "damaged network" else None])
    (tmp_path / "reference.json").write_bytes((artifacts / "reference.json").read_bytes())
    if damage != "damaged network":
        (tmp_path / ("reference.json" if damage == "no record" else "reference.keras")).unlink()
    with pytest.raises(RunError, match="lesson 04"):
        train.ship_network(tmp_path, tmp_path / "shipped")
    assert not (tmp_path / "shipped").exists()


# --- What is in the package ---


@pytest.fixture
def package(monkeypatch):
    monkeypatch.delenv("DIGITS_NETWORKS_DIR", raising=False)


@pytest.mark.filterwarnings("error::UserWarning")
def test_the_network_in_the_package_is_the_reference_network(package):
    path = train.network_path("shipped")
    record = train.load_record(path.with_suffix(".json"))
    model = keras.models.load_model(path)
    assert describe_layers(model) == describe_layers(build_reference())
    assert record["weights_sha256"] == train.weights_digest(model)
    assert (record["dataset"], record["seed"], record["epochs"], record["batch_size"]) == ("mnist", 0, 10, 128)
    assert len(record["history"]["val_accuracy"]) == 10
    assert path.stat().st_size < 5_000_000


@pytest.mark.slow
def test_the_network_in_the_package_reaches_its_accuracy(package, mnist):
    path = train.network_path("shipped")
    assert train.load_record(path.with_suffix(".json"))["data_sha256"] == mnist.digest
    x_test, y_test = prepare_test(mnist)
    probabilities = keras.models.load_model(path).predict(x_test, batch_size=500, verbose=0)
    right = int((probabilities.argmax(axis=1) == y_test.argmax(axis=1)).sum())
    # 99.0 % is what the series promises of the reference recipe; it was measured at 99.2 %.
    assert wilson_interval(right, len(y_test))[0] > 0.989


def test_the_spread_of_trainings_belongs_to_the_shipped_network(package):
    groups = train.load_spread()
    assert list(groups) == ["one seed, computed in three ways", "three seeds"]
    one_seed, three_seeds = groups.values()
    assert {run["seed"] for run in one_seed} == {0}
    assert len({(run["threads"], run["instructions"]) for run in one_seed}) == len(one_seed) >= 3
    assert len({(run["threads"], run["instructions"]) for run in three_seeds}) == 1
    assert len({run["seed"] for run in three_seeds}) == len(three_seeds) >= 3
    assert all(0.98 < run["validation_accuracy"] < 1 for run in one_seed + three_seeds)
    recipe = json.loads((train._networks_folder() / "spread.json").read_text(encoding="utf-8"))["recipe"]
    record = train.load_record(train._networks_folder() / "reference.json")
    for name in ("dataset", "data_sha256", "epochs", "batch_size"):
        assert recipe[name] == record[name]
