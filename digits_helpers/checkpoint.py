"""Go on with a training that was cut short, as if it had not been (lesson 04).

Keras's own `BackupAndRestore` brings back weights and optimizer, but the restored run sees the images in the order of
its first epoch again. Here the order of an epoch depends on the seed and the epoch alone, and everything else that
training depends on is saved: weights, Adam's running means, and the states of dropout's random numbers. On the same
machine a resumed run ends in the same weights as an uninterrupted one, bit for bit.
"""

import hashlib
import io
import json
import math
import time
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from digits_helpers.files import write_whole
from digits_helpers.parameters import BACKUP_FILE
from digits_helpers.train import ProbabilityLog, weights_digest


class ShuffledBatches(keras.utils.PyDataset):
    """Batches of training images in a new order every epoch; give `shuffle=False` to `fit`, or batches move as well.

    Introduced in lesson 04.

    Attributes:
        epoch: the epoch that comes next, from 0; it and the seed decide on the order.
    """

    def __init__(self, images: NDArray[np.float32], labels: NDArray[np.float32], batch_size: int, seed: int) -> None:
        """Take the data.

        Args:
            images: shape (n, 28, 28, 1), float32 in [0, 1].
            labels: one-hot, shape (n, 10), float32.
            batch_size: images per batch; the last one of an epoch holds the rest.
            seed: start of the random orders.
        """
        super().__init__()
        self.images, self.labels, self.batch_size, self.seed = images, labels, batch_size, seed
        self.epoch = 0
        self.order = self.order_of(0)

    def order_of(self, epoch: int) -> NDArray[np.int64]:
        """Return the images' positions in the order of an epoch, shape (n,)."""
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.images))

    def on_epoch_begin(self) -> None:
        """Take the order of the epoch that begins, and count it (Keras calls `on_epoch_end` before the first, too)."""
        self.order = self.order_of(self.epoch)
        self.epoch += 1

    def __len__(self) -> int:
        """Batches per epoch."""
        return math.ceil(len(self.images) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return images and labels of batch number `index`, from 0."""
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.images[chosen], self.labels[chosen]


class TrainingBackup(keras.callbacks.Callback):
    """Save a training after every epoch, and take it up again where it was cut short.

    Made for a network that is built, compiled and not yet trained: if the folder holds a backup of the same training
    (data, recipe, network, starting weights), the network continues from it; any other backup is ignored and replaced.
    `digits_helpers.train.save_run` removes the backup when the trained network is safe.

    Introduced in lesson 04.

    Attributes:
        epochs_done: epochs that are already behind the network; `fit` needs it as `initial_epoch`.
        seconds: how long all epochs took, without the time between interruption and resumption.
    """

    def __init__(
        self, folder: Path, model: keras.Model, batches: ShuffledBatches, recipe: dict[str, Any],
        watch: ProbabilityLog | None = None,
    ) -> None:  # fmt: skip
        """Restore what there is.

        Args:
            folder: an existing folder for the backup.
            model: the compiled network, not yet trained.
            batches: its training data.
            recipe: what `digits_helpers.train.make_recipe` returned.
            watch: a log that belongs to the training, is saved and restored with it.
        """
        super().__init__()
        self.path, self.batches, self.watch = folder / BACKUP_FILE, batches, watch
        self.epochs_done, self.seconds, self.history = 0, 0.0, {}
        model.optimizer.build(model.trainable_variables)
        self.identity = _identity(model, recipe, watch)
        self._restore(model)

    def _restore(self, model: keras.Model) -> None:
        """Bring model, order of images, history and log to where the backup was made, if it is of this training."""
        try:
            with np.load(self.path, allow_pickle=False) as saved:
                facts = json.loads(str(saved["facts"]))
                if facts["identity"] != self.identity:
                    return
                values = [saved[f"variable_{position}"] for position in range(len(_variables(model)))]
                watched = list(saved["watched"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return  # none there, or one that is damaged: the training begins at its beginning
        for variable, value in zip(_variables(model), values, strict=True):
            variable.assign(value)
        self.epochs_done, self.seconds, self.history = facts["epochs"], facts["seconds"], facts["history"]
        self.batches.epoch = self.epochs_done
        if self.watch is not None:
            self.watch.history = watched

    def set_model(self, model: keras.Model) -> None:
        """Put the epochs that are done into the history that `fit` returns; other callbacks find them there."""
        super().set_model(model)
        model.history.history = {name: list(values) for name, values in self.history.items()}

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Start the clock where it stopped."""
        self.started = time.perf_counter() - self.seconds

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Save everything that the next epoch depends on."""
        if self.watch is not None and len(self.watch.history) != epoch + 2:
            raise ValueError("TrainingBackup has to be the last callback: the log that it saves lacks this epoch.")
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        self.seconds = time.perf_counter() - self.started
        facts = {"identity": self.identity, "epochs": epoch + 1, "seconds": self.seconds, "history": self.history}
        arrays = {f"variable_{place}": keras.ops.convert_to_numpy(variable) for place, variable in enumerate(_variables(self.model))}
        buffer = io.BytesIO()
        watched = np.array(self.watch.history if self.watch else [])
        np.savez(buffer, facts=np.array(json.dumps(facts)), watched=watched, **arrays)
        write_whole(self.path, buffer.getvalue())


def _variables(model: keras.Model) -> list[keras.Variable]:
    """List everything that changes while a model trains: weights, states of random numbers, the optimizer's means."""
    return [*model.variables, *model.optimizer.variables]


def _identity(model: keras.Model, recipe: dict[str, Any], watch: ProbabilityLog | None) -> str:
    """Compute a SHA-256 that two trainings share only if they have data, recipe, network and start in common."""
    optimizer = {name: value for name, value in model.optimizer.get_config().items() if name != "name"}
    # Keras numbers layers through, so a network that is built twice has other names in it.
    layers = [{**layer.get_config(), "name": type(layer).__name__} for layer in model.layers]
    start = weights_digest(model)
    watched = hashlib.sha256(np.ascontiguousarray(watch.images)).hexdigest() if watch else None
    facts = [recipe, layers, optimizer, model.loss, start, watched]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
