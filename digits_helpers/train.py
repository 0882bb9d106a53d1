"""Log, save and load training runs; the network that ships with the series (lesson 04)."""

import hashlib
import json
import os
import tempfile
import zipfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from digits_helpers.data import Digits
from digits_helpers.errors import DigitsError
from digits_helpers.files import write_json, write_whole
from digits_helpers.model import build_reference
from digits_helpers.parameters import BACKUP_FILE
from digits_helpers.preprocess import SPLIT_SEED, VALIDATION_FRACTION

MODEL_FILE = "reference.keras"
RUN_FILE = "training.json"
SHIPPED_WEIGHTS = "reference.npz"
SHIPPED_FACTS = "reference.json"
SPREAD_FILE = "spread.json"


class RunError(DigitsError):
    """A saved training run, or the shipped network, is missing, damaged or made from something else."""


class EpochLog(keras.callbacks.Callback):
    """Print one line per epoch, without wall times; a progress bar runs below while the epoch does.

    A training that goes on after an interruption prints the lines of its earlier epochs first. The bar disappears
    when training ends, and ``TQDM_DISABLE=1`` switches it off.
    """

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Print the epochs that a resumed training has behind it, and open the progress bar; one tick is one batch."""
        earlier = self.model.history.history
        done = len(earlier.get("loss", []))
        for epoch in range(done):
            self.on_epoch_end(epoch, {name: values[epoch] for name, values in earlier.items()})
        ticks, behind = (count * self.params["steps"] for count in (self.params["epochs"], done))
        # tqdm's bar for notebooks does not read the variable by itself
        off = bool(os.environ.get("TQDM_DISABLE"))
        self.bar = tqdm(total=ticks, initial=behind, unit="batch", leave=False, disable=off)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Move the progress bar."""
        self.bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Print the epoch's losses and accuracies."""
        print(epoch_line(epoch + 1, self.params["epochs"], logs or {}))

    def on_train_end(self, logs: dict | None = None) -> None:
        """Close the progress bar; nothing of it stays."""
        self.bar.close()


def epoch_line(epoch: int, epochs: int, logs: dict[str, float]) -> str:
    """Write one line of the epoch log.

    The validation loss is left out: for one epoch it differs so much between machines that no digit of it would hold.

    >>> epoch_line(3, 10, {"loss": 0.05, "accuracy": 0.984, "val_loss": 0.04, "val_accuracy": 0.9885})
    'epoch  3/10: loss 0.0500, accuracy 98.4%, validation accuracy 98.8%'
    """
    line = f"epoch {epoch:2}/{epochs}: loss {logs['loss']:.4f}, accuracy {logs['accuracy']:.1%}"
    if "val_accuracy" in logs:
        line += f", validation accuracy {logs['val_accuracy']:.1%}"
    return line


class ProbabilityLog(keras.callbacks.Callback):
    """Record, after every epoch, the probabilities that the network gives for a few images.

    Attributes:
        history: list with one float32 array of shape (n, 10) per epoch; the first is from before training.
    """

    def __init__(self, images: NDArray[np.float32]) -> None:
        """Take the images to watch: float32 in [0, 1], shape (n, 28, 28, 1)."""
        super().__init__()
        self.images = images
        self.history: list[NDArray[np.float32]] = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Record the untrained network's answer; a resumed training has it already."""
        if not self.history:
            self.history.append(np.array(self.model(self.images, training=False)))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Record the answer after this epoch."""
        self.history.append(np.array(self.model(self.images, training=False)))


def make_recipe(digits: Digits, seed: int, epochs: int, batch_size: int) -> dict[str, Any]:
    """State everything that a training run of the reference network depends on, apart from the machine.

    Args:
        digits: the data set.
        seed: the seed given to ``keras.utils.set_random_seed``.
        epochs: passes over the training part.
        batch_size: images per update.

    Returns:
        A dictionary that JSON can hold; two runs are comparable where their recipes are equal.
    """
    return {
        "dataset": digits.name,
        "data_sha256": digits.digest,
        "network": "reference",
        "optimizer": "Adam, learning rate 0.001",
        "loss": "categorical_crossentropy",
        "validation_fraction": VALIDATION_FRACTION,
        "split_seed": SPLIT_SEED,
        "seed": seed,
        "epochs": epochs,
        "batch_size": batch_size,
    }


def weights_digest(model: keras.Model) -> str:
    """Compute the SHA-256 over all weights in order, as little-endian float32; it identifies a network.

    Args:
        model: any built model.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for weights in model.get_weights():
        digest.update(np.ascontiguousarray(weights, "<f4").tobytes())
    return digest.hexdigest()


def save_run(
    folder: Path, model: keras.Model, history: dict[str, list[float]], recipe: dict[str, Any], seconds: float
) -> None:
    """Save a training run: the model as ``reference.keras``, history and recipe as ``training.json``.

    A backup of the unfinished training (`digits_helpers.checkpoint`) is removed. Introduced in lesson 04.

    Args:
        folder: an existing folder; an older run in it is replaced.
        model: the trained reference network.
        history: Keras's history, metric name to one value per epoch.
        recipe: what ``make_recipe`` returned.
        seconds: how long the training took; recorded, never compared.

    Raises:
        OSError: the folder cannot be written.
    """
    # The old record goes first: a crash between the two files must not leave a record that fits another model.
    (folder / RUN_FILE).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        model.save(Path(temporary) / MODEL_FILE)
        os.replace(Path(temporary) / MODEL_FILE, folder / MODEL_FILE)
    history = {name: [round(float(value), 6) for value in values] for name, values in history.items()}
    facts = {"recipe": recipe, "history": history, "weights_sha256": weights_digest(model)}
    write_json(folder / RUN_FILE, {**facts, "seconds": round(seconds, 1)})
    (folder / BACKUP_FILE).unlink(missing_ok=True)  # the run is safe now, and the next one starts at its beginning


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained reference network and how it came about.

    Attributes:
        model: the network, compiled for evaluation.
        origin: "own" (lesson 04 in this artifacts folder) or "shipped" (comes with the series).
        recipe: what ``make_recipe`` returned when it was trained.
        history: metric name to one value per epoch.
        digest: SHA-256 of the weights that are used.
    """

    model: keras.Model
    origin: str
    recipe: dict[str, Any]
    history: dict[str, list[float]]
    digest: str

    @property
    def description(self) -> str:
        """One sentence that says which network this is."""
        where = "trained in your lesson 04" if self.origin == "own" else "shipped with the series"
        return f"Network: reference, {where}, weights {self.digest[:12]}…"


def compare_recipes(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Name the differences between two recipes, or return an empty string where there are none."""
    names = [name for name in wanted if found.get(name) != wanted[name] and name != "data_sha256"]
    differences = [f"{name} = {found.get(name)!r} where {wanted[name]!r} is asked for" for name in names]
    if found.get("data_sha256") != wanted.get("data_sha256") and "dataset" not in names:
        differences.append("other images or labels under the same name")
    return ", ".join(differences)


def load_run(folder: Path, recipe: dict[str, Any]) -> TrainedNetwork:
    """Load the run that lesson 04 saved, if it was made from the same data by the same recipe.

    Introduced in lesson 05.

    Args:
        folder: the artifacts folder.
        recipe: what the run must have been made with.

    Returns:
        The network with its history.

    Raises:
        RunError: no run there, a damaged one, or one of other data or another recipe.
    """
    again = "run lesson 04 with the parameters of this lesson"
    if not (folder / RUN_FILE).is_file() or not (folder / MODEL_FILE).is_file():
        raise RunError(f"The folder {folder.name!r} holds no trained network ({MODEL_FILE}, {RUN_FILE}): {again}.")
    try:
        run = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        differences = compare_recipes(run["recipe"], recipe)
        history, expected = run["history"], run["weights_sha256"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"The file {RUN_FILE} in {folder.name!r} is damaged ({error}): {again}.") from None
    if differences:
        raise RunError(
            f"The network in {folder.name!r} was trained with {differences}: {again}, "
            'or change them here, or (on MNIST) set network = "shipped".'
        )
    try:
        model = keras.saving.load_model(folder / MODEL_FILE)
        digest = weights_digest(model)
    except Exception as error:  # Keras raises many kinds for a damaged archive
        raise RunError(f"The file {MODEL_FILE} in {folder.name!r} is damaged ({type(error).__name__}): {again}.") from None
    if digest != expected:
        raise RunError(f"The weights in {MODEL_FILE} are not the ones that {RUN_FILE} describes: {again}.")
    return TrainedNetwork(model, "own", run["recipe"], history, digest)


def shipped_folder() -> Path:
    """Return the folder of the shipped network: ``$DIGITS_NETWORKS_DIR``, else ``networks`` in this package."""
    return Path(os.environ.get("DIGITS_NETWORKS_DIR") or str(resources.files("digits_helpers") / "networks"))


def ship_network(artifacts: Path, destination: Path | None = None) -> None:
    """Turn the run in an artifacts folder into the network that ships with the series.

    The weights are rounded to float16, which halves the file and moves no probability by more than about 1e-3.

    Args:
        artifacts: a folder in which lesson 04 saved a run.
        destination: where ``reference.npz`` and ``reference.json`` go; by default into this package.

    Raises:
        RunError: no run there, or a damaged one.
    """
    record = json.loads((artifacts / RUN_FILE).read_text(encoding="utf-8")) if (artifacts / RUN_FILE).is_file() else {}
    run = load_run(artifacts, record.get("recipe", {}))
    destination = destination or shipped_folder()
    destination.mkdir(parents=True, exist_ok=True)
    halves = [weights.astype("<f2") for weights in run.model.get_weights()]
    run.model.set_weights([weights.astype(np.float32) for weights in halves])
    with tempfile.TemporaryFile() as buffer:
        np.savez_compressed(buffer, **{f"weights_{position}": weights for position, weights in enumerate(halves)})
        buffer.seek(0)
        write_whole(destination / SHIPPED_WEIGHTS, buffer.read())
    facts = {"recipe": run.recipe, "history": run.history, "weights_sha256": weights_digest(run.model)}
    write_json(destination / SHIPPED_FACTS, facts)


def load_shipped() -> TrainedNetwork:
    """Load the reference network that ships with the series.

    It was trained on MNIST by lesson 04, with the recipe beside it, and rounded to float16.

    Returns:
        The network with its history.

    Raises:
        RunError: one of its two files is missing or damaged.
    """
    folder = shipped_folder()
    try:
        facts = json.loads((folder / SHIPPED_FACTS).read_text(encoding="utf-8"))
        with np.load(folder / SHIPPED_WEIGHTS, allow_pickle=False) as arrays:
            weights = [arrays[f"weights_{position}"].astype(np.float32) for position in range(len(arrays.files))]
        model = build_reference()
        model.set_weights(weights)
        damaged = weights_digest(model) != facts["weights_sha256"]
        network = TrainedNetwork(model, "shipped", facts["recipe"], facts["history"], facts["weights_sha256"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile):
        damaged = True
    if damaged:
        raise RunError(
            "The network that ships with the series is missing or damaged: "
            "install the package again, or run lesson 04 and set network = \"own\"."
        )
    return network


def load_spread() -> dict[str, list[dict[str, Any]]]:
    """Load what repeated trainings of the reference recipe on MNIST ended in; they come with the series.

    Written by ``benchmarks/spread.py``. Introduced in lesson 05.

    Returns:
        Two groups of runs, "one seed, several kinds of machine" and "several seeds, one kind of machine". A run has
        its ``seed``, ``threads``, ``kind`` of machine, and from its last epoch ``validation_loss`` and
        ``validation_accuracy`` (0 to 1) on ``validation_images`` images.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        return json.loads((shipped_folder() / SPREAD_FILE).read_text(encoding="utf-8"))["groups"]
    except (OSError, ValueError, KeyError, TypeError):
        raise RunError(
            f"The file {SPREAD_FILE} that ships with the series is missing or damaged: install the package again."
        ) from None


def load_network(network: str, digits: Digits, folder: Path, recipe: dict[str, Any]) -> TrainedNetwork:
    """Choose the network that a lesson after 04 works with.

    Introduced in lesson 05.

    Args:
        network: "own" (lesson 04 in ``folder``), "shipped", or "auto": own where there is one, else shipped.
        digits: the data set that the lesson uses.
        folder: the artifacts folder.
        recipe: what an own network must have been made with.

    Returns:
        The network; its ``description`` says which it is.

    Raises:
        RunError: there is no network that was trained on these data by this recipe.
    """
    if network == "own" or (network == "auto" and (folder / RUN_FILE).is_file()):
        return load_run(folder, recipe)
    if digits.name == "mnist":
        return load_shipped()
    if network == "shipped":
        raise RunError(
            f"The network that ships with the series was trained on MNIST, but this run uses {digits.title}: "
            'run lesson 04 on the same data and set network = "own", or get MNIST.'
        )
    return load_run(folder, recipe)
