"""Save and load a training run, and the network that comes with the series (lesson 04)."""

import hashlib
import io
import json
import os
import zipfile
from importlib import resources
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from digits_helpers.data import Digits
from digits_helpers.errors import DigitsError

MODEL_FILE = "reference.keras"
RECORD_FILE = "reference.json"
SPREAD_FILE = "spread.json"


class RunError(DigitsError):
    """A saved network, or a file that comes with the series, is missing or damaged."""


def save_record(
    path: str | Path, digits: Digits, history: keras.callbacks.History, *, seed: int, epochs: int, batch_size: int
) -> None:
    """Write down how a network was trained and what its epochs gave; introduced in lesson 04.

    Args:
        path: the JSON file to write, beside the saved network.
        digits: the data that it was trained on.
        history: what ``model.fit`` returned.
        seed: the seed given to ``keras.utils.set_random_seed``.
        epochs: passes over the training part.
        batch_size: images per update.
    """
    record = {
        "dataset": digits.name,
        "data_sha256": digits.digest,
        "seed": seed,
        "epochs": epochs,
        "batch_size": batch_size,
        "history": {name: [round(float(value), 6) for value in values] for name, values in history.history.items()},
    }
    _write_json(Path(path), record)


def load_record(path: str | Path) -> dict[str, Any]:
    """Load what `save_record` wrote.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        if "history" not in record:
            raise ValueError("no history")
    except (OSError, ValueError, TypeError) as error:
        raise RunError(
            f"The record of a training, {Path(path).name}, is missing or damaged ({error}): "
            "run lesson 04 again to write it, or install the package again if it is the one that comes with it."
        ) from None
    return record


def network_path(network: str) -> Path:
    """Give the file of a trained reference network; its record stands beside it, as a JSON file of the same name.

    Args:
        network: "own": the network that lesson 04 saved in the folder ``artifacts``; or "shipped": the one that comes
            with the series, trained on MNIST by lesson 04, with weights rounded to float16.

    Raises:
        RunError: the word is another, or the file is missing.
    """
    if network not in ("own", "shipped"):
        raise RunError(f'network is {network!r}, but only "own" and "shipped" exist: write one of them.')
    path = (Path("artifacts") if network == "own" else _networks_folder()) / MODEL_FILE
    if not path.is_file():
        advice = 'run lesson 04 first, or set network = "shipped"' if network == "own" else "install the package again"
        raise RunError(f"There is no file {MODEL_FILE} in the folder {path.parent.name!r}: {advice}.")
    return path


def _networks_folder() -> Path:
    """Give the folder of what comes with the series: ``$DIGITS_NETWORKS_DIR``, else ``networks`` in this package."""
    return Path(os.environ.get("DIGITS_NETWORKS_DIR") or str(resources.files("digits_helpers") / "networks"))


def load_spread() -> dict[str, list[dict[str, Any]]]:
    """Load what repeated trainings of the reference network on MNIST ended in; ``benchmarks/spread.py`` wrote it.

    Returns:
        Two groups of runs, "one seed, computed in three ways" and "three seeds". A run has its ``seed``, ``threads``,
        ``instructions`` (set that the processor used), and from its last epoch ``validation_loss`` and
        ``validation_accuracy`` (0 to 1) on ``validation_images`` images.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        return json.loads((_networks_folder() / SPREAD_FILE).read_text(encoding="utf-8"))["groups"]
    except (OSError, ValueError, KeyError, TypeError):
        raise RunError(f"The file {SPREAD_FILE} is missing or damaged: install the package again.") from None


def weights_digest(model: keras.Model) -> str:
    """Compute the SHA-256 over all weights in order, as little-endian float32; it identifies a network."""
    digest = hashlib.sha256()
    for weights in model.get_weights():
        digest.update(np.ascontiguousarray(weights, "<f4").tobytes())
    return digest.hexdigest()


def ship_network(artifacts: str | Path, destination: str | Path) -> None:
    """Turn the network that lesson 04 saved into the one that comes with the series.

    Weights are rounded to float16, which halves the file and moves no probability by more than about 1e-3. What Adam
    remembers of the training is dropped. The same network gives the same bytes.

    Args:
        artifacts: the folder in which lesson 04 saved ``reference.keras`` and ``reference.json``.
        destination: the folder for both files; they are replaced there.

    Raises:
        RunError: a file is missing or damaged.
    """
    record = load_record(Path(artifacts, RECORD_FILE))
    try:
        trained = keras.models.load_model(Path(artifacts, MODEL_FILE))
    except Exception as error:  # Keras raises many kinds for a damaged archive
        raise RunError(f"{MODEL_FILE} is missing or damaged ({type(error).__name__}): run lesson 04 again.") from None
    network = keras.models.clone_model(trained)
    network.set_weights([weights.astype(np.float16) for weights in trained.get_weights()])
    network.compile_from_config(trained.get_compile_config())
    Path(destination).mkdir(parents=True, exist_ok=True)
    _save_small(network, Path(destination, MODEL_FILE))
    _write_json(Path(destination, RECORD_FILE), {**record, "weights_sha256": weights_digest(network)})


def _save_small(model: keras.Model, path: Path) -> None:
    """Save a model in Keras's format with float16 weights, compressed, without anything that changes by the day."""
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    metadata, config = (json.loads(contents[name]) for name in ("metadata.json", "config.json"))
    del metadata["date_saved"]
    contents["metadata.json"] = json.dumps(metadata).encode()
    contents["config.json"] = json.dumps(_without_addresses(config)).encode()
    contents["model.weights.h5"] = _with_half_floats(contents["model.weights.h5"])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)  # dated 1980


def _without_addresses(config: Any) -> Any:
    """Drop the memory addresses by which Keras marks objects that layers share."""
    if isinstance(config, list):
        return [_without_addresses(value) for value in config]
    if isinstance(config, dict):
        return {name: _without_addresses(value) for name, value in config.items() if name != "shared_object_id"}
    return config


def _with_half_floats(weights: bytes) -> bytes:
    """Copy an HDF5 file of weights, with those of the layers as float16; Keras turns them into float32 again."""
    buffer = io.BytesIO()
    with h5py.File(io.BytesIO(weights)) as source, h5py.File(buffer, "w") as target:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Group):
                target.require_group(name).attrs.update(item.attrs)
            else:
                values = item[()]
                target[name] = values.astype(np.float16) if name.startswith("layers/") else values

        source.visititems(copy)
    return buffer.getvalue()


def _write_json(path: Path, facts: dict[str, Any]) -> None:
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
