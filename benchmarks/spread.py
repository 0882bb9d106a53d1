"""Measure how far trainings of the reference recipe spread, over seeds and over ways to compute the same seed.

    python benchmarks/spread.py run     # trains what is missing in build/spread, about ten minutes each on two cores
    python benchmarks/spread.py table   # the largest differences, epoch by epoch: where the tolerances come from
    python benchmarks/spread.py ship    # writes digits_helpers/networks/spread.json, which lesson 05 shows

Each training is a process of its own, as in lesson 04: the same seed, the same call of `fit`. oneDNN is told to use
no more than an instruction set, so that one processor plays several. A history that is there already is kept, so that
a measurement which was killed goes on where it was.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "build" / "spread"
SPREAD = Path(__file__).parents[1] / "digits_helpers" / "networks" / "spread.json"
# seed, threads, instruction set
RUNS = [(0, 2, "AVX512_CORE"), (0, 1, "AVX512_CORE"), (0, 2, "AVX2"), (1, 2, "AVX512_CORE"), (2, 2, "AVX512_CORE")]
VALIDATION_IMAGES = 6000


def train(seed: int, threads: int, instructions: str) -> None:
    """Train in this process, and write the history."""
    os.environ["ONEDNN_MAX_CPU_ISA"] = instructions
    import keras
    import tensorflow as tf

    from digits_helpers.data import load_digits
    from digits_helpers.model import build_reference
    from digits_helpers.preprocess import prepare_training

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    x_train, y_train, x_val, y_val = prepare_training(load_digits("mnist"))
    assert len(x_val) == VALIDATION_IMAGES
    keras.utils.set_random_seed(seed)
    model = build_reference()
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    history = model.fit(x_train, y_train, batch_size=128, epochs=10, validation_data=(x_val, y_val), verbose=2)
    record = {"seed": seed, "threads": threads, "instructions": instructions, "history": history.history}
    name(seed, threads, instructions).write_text(json.dumps(record), encoding="utf-8")


def name(seed: int, threads: int, instructions: str) -> Path:
    return FOLDER / f"seed{seed}-threads{threads}-{instructions}.json"


def run() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for settings in RUNS:
        if not name(*settings).is_file():
            subprocess.run([sys.executable, __file__, "train", *map(str, settings)], check=True)


def load(settings: tuple[int, int, str]) -> dict:
    return json.loads(name(*settings).read_text(encoding="utf-8"))


def table() -> None:
    """Print the largest difference to the first run: of one epoch, and of the last."""
    first = load(RUNS[0])["history"]
    for settings in RUNS[1:]:
        history = load(settings)["history"]
        print(name(*settings).stem)
        for metric, values in history.items():
            gaps = [abs(new - old) for new, old in zip(values, first[metric], strict=True)]
            relative = max(gap / old for gap, old in zip(gaps, first[metric], strict=True))
            print(f"  {metric:12} largest {max(gaps):.4f} ({relative:.1%}), last epoch {gaps[-1]:.4f}")


def ship() -> None:
    groups = {"one seed, computed in three ways": RUNS[:3], "three seeds": [RUNS[0], *RUNS[3:]]}
    content = {title: [last_epoch(settings) for settings in group] for title, group in groups.items()}
    record = json.loads(SPREAD.with_name("reference.json").read_text(encoding="utf-8"))
    recipe = {name: record[name] for name in ("dataset", "data_sha256", "epochs", "batch_size")}
    SPREAD.write_text(json.dumps({"recipe": recipe, "groups": content}, indent=1) + "\n", encoding="utf-8")


def last_epoch(settings: tuple[int, int, str]) -> dict:
    record = load(settings)
    history = record.pop("history")
    return {
        **record,
        "validation_loss": round(history["val_loss"][-1], 6),
        "validation_accuracy": round(history["val_accuracy"][-1], 6),
        "validation_images": VALIDATION_IMAGES,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "table", "ship", "train"])
    parser.add_argument("settings", nargs="*", help="of `train`: seed, threads, instruction set")
    arguments = parser.parse_args()
    if arguments.command == "train":
        seed, threads, instructions = arguments.settings
        train(int(seed), int(threads), instructions)
    else:
        {"run": run, "table": table, "ship": ship}[arguments.command]()
