"""A training that is cut short and goes on must end as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

from digits_helpers import train
from digits_helpers.checkpoint import ShuffledBatches, TrainingBackup
from digits_helpers.parameters import BACKUP_FILE

IMAGES = np.random.default_rng(1).random((50, 28, 28, 1), dtype=np.float32)
LABELS = np.eye(10, dtype=np.float32)[np.arange(50) % 10]
RECIPE = {"dataset": "noise", "seed": 3, "epochs": 4}


def build(rate=0.5, units=8):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([
        keras.layers.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(units, activation="relu"),
        keras.layers.Dropout(rate), keras.layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model


class Cut(keras.callbacks.Callback):
    """End the training in the middle of an epoch, as a kill would: the weights have moved on from the backup."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch, self.now = epoch, None

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.now == self.epoch and batch == 3:
            raise KeyboardInterrupt


def fit(folder, cut=None, model=None, recipe=RECIPE, epochs=4):
    model = model or build()
    watch = train.ProbabilityLog(IMAGES[:2])
    batches = ShuffledBatches(IMAGES, LABELS, 8, seed=3)
    backup = TrainingBackup(folder, model, batches, recipe, watch)
    begun = backup.epochs_done
    history = model.fit(
        batches, epochs=epochs, initial_epoch=begun, shuffle=False, verbose=0,
        validation_data=(IMAGES[:10], LABELS[:10]), callbacks=[train.EpochLog(), watch, Cut(cut), backup],
    ).history  # fmt: skip
    return model, history, np.array(watch.history), begun


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("cuts", [[1], [3], [1, 2, 3]])
def test_a_training_cut_short_ends_in_the_same_bits(tmp_path, tmp_path_factory, uninterrupted, capsys, cuts):
    capsys.readouterr()
    fit(tmp_path_factory.mktemp("lines"))
    lines = capsys.readouterr().out
    for cut in cuts:
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path, cut)
    capsys.readouterr()
    model, history, watched, begun = fit(tmp_path)
    assert begun == cuts[-1]
    whole, whole_history, whole_watched, _ = uninterrupted
    for variable, expected in zip(
        [*model.variables, *model.optimizer.variables], [*whole.variables, *whole.optimizer.variables], strict=True
    ):
        assert np.array_equal(*map(keras.ops.convert_to_numpy, (variable, expected)))  # weights, Adam's means, dropout's state
    assert history == whole_history
    np.testing.assert_array_equal(watched, whole_watched)
    assert capsys.readouterr().out == lines  # the log shows all epochs, as if there had been no interruption
    assert lines.count("epoch") == 4


def test_a_finished_training_is_not_done_again_before_it_is_saved(tmp_path, uninterrupted):
    fit(tmp_path)
    model, history, _, begun = fit(tmp_path)
    assert begun == 4
    assert history == uninterrupted[1]
    assert train.weights_digest(model) == train.weights_digest(uninterrupted[0])
    train.save_run(tmp_path, model, history, RECIPE, 1.0)
    assert not (tmp_path / BACKUP_FILE).exists()
    assert fit(tmp_path)[3] == 0


@pytest.mark.parametrize(
    "other",
    [
        {"model": lambda: build(rate=0.25)},
        {"model": lambda: build(units=9)},
        {"recipe": {**RECIPE, "seed": 4}},
        {"recipe": {**RECIPE, "epochs": 3}, "epochs": 3},
    ],
    ids=["dropout rate", "units", "seed", "epochs"],
)
def test_the_backup_of_another_training_is_not_used(tmp_path, other):
    fit(tmp_path)
    other = {**other, "model": other["model"]() if "model" in other else None}
    assert fit(tmp_path, **other)[3] == 0


def test_other_starting_weights_or_another_optimizer_begin_anew(tmp_path):
    fit(tmp_path)
    model = build()
    model.set_weights([weights * 1.001 for weights in model.get_weights()])
    assert fit(tmp_path, model=model)[3] == 0
    model = build()
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="categorical_crossentropy", metrics=["accuracy"])
    assert fit(tmp_path, model=model)[3] == 0


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", None])
def test_a_damaged_backup_is_ignored(tmp_path, content):
    fit(tmp_path)
    path = tmp_path / BACKUP_FILE
    path.write_bytes(path.read_bytes()[:20_000] if content is None else content)
    assert fit(tmp_path)[3] == 0


def test_the_backup_must_see_what_the_log_sees(tmp_path):
    model, watch, batches = build(), train.ProbabilityLog(IMAGES[:2]), ShuffledBatches(IMAGES, LABELS, 8, seed=3)
    backup = TrainingBackup(tmp_path, model, batches, RECIPE, watch)
    with pytest.raises(ValueError, match="has to be the last callback"):
        model.fit(batches, shuffle=False, verbose=0, callbacks=[backup, watch])


def test_every_epoch_has_every_image_once_and_an_order_of_its_own():
    batches = ShuffledBatches(np.arange(50, dtype=np.float32), LABELS, 8, seed=3)
    assert len(batches) == 7  # 50 = 6 · 8 + 2
    orders = []
    for _ in range(3):
        batches.on_epoch_begin()
        orders.append(np.concatenate([batches[position][0] for position in range(7)]).tolist())
        batches.on_epoch_end()
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    images, labels = batches[6]
    assert images.shape == (2,)
    np.testing.assert_array_equal(labels.argmax(axis=1), images.astype(int) % 10)
    # NumPy promises that a seed gives the same permutation on every machine: PCG64 seeded with (3, 0)
    assert orders[0] == np.random.default_rng([3, 0]).permutation(50).tolist()
    assert orders[0] != np.random.default_rng([4, 0]).permutation(50).tolist()


def test_a_process_killed_in_the_middle_leaves_a_backup_that_can_be_used(tmp_path, uninterrupted):
    program = textwrap.dedent(
        """
        import pathlib, sys
        sys.path.insert(0, sys.argv[2])
        import test_checkpoint as here
        class Announce(here.Cut):
            def on_train_batch_end(self, batch, logs=None):
                if self.now == 2 and batch == 2:
                    print("now", flush=True)
                    sys.stdin.read()
        here.Cut = Announce
        here.fit(pathlib.Path(sys.argv[1]))
        """
    )
    command = [sys.executable, "-c", program, str(tmp_path), os.path.dirname(__file__)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert any(line == "now\n" for line in process.stdout)
        process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    model, history, _, begun = fit(tmp_path)
    assert begun == 2
    assert history == uninterrupted[1]
    assert train.weights_digest(model) == train.weights_digest(uninterrupted[0])


def test_the_time_of_the_parts_is_added_up(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, 2)
    with np.load(tmp_path / BACKUP_FILE) as saved:
        facts = json.loads(str(saved["facts"]))
    backup = TrainingBackup(tmp_path, build(), ShuffledBatches(IMAGES, LABELS, 8, 3), RECIPE, train.ProbabilityLog(IMAGES[:2]))
    assert backup.seconds == facts["seconds"] > 0
    assert backup.epochs_done == 2
