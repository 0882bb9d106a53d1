"""Checks that TensorFlow's start-up notes are hidden, and nothing else."""

import os
import subprocess
import sys

from digits_helpers.startup import is_startup_note, quiet_startup


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)


def test_importing_tensorflow_is_quiet():
    finished = run(
        "from digits_helpers.startup import quiet_startup\n"
        "with quiet_startup():\n    import keras, tensorflow\n"
        "import numpy as np\n"
        "model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])\n"
        "model.compile('adam', 'mse')\nmodel.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)\n"
    )
    assert finished.stderr == ""
    assert finished.stdout == ""


def test_notes_that_come_with_a_training_are_hidden_and_warnings_are_not():
    finished = run(
        "from digits_helpers.startup import quiet_startup\n"
        "with quiet_startup():\n    import tensorflow as tf\n"
        "list(tf.data.Dataset.from_generator(lambda: iter([1]), output_signature=tf.TensorSpec((), tf.int32)))\n"
        "import sys; print('ready', file=sys.stderr, flush=True)\n"
        "list(tf.data.Dataset.range(9).cache().take(2))\n"
    )
    note, warning = finished.stderr.split("ready\n")
    assert note == ""
    assert "did not fully read the dataset being cached" in warning


def test_without_it_tensorflow_writes_notes():
    # If this fails, TensorFlow has become quiet by itself, and the helper can go.
    assert run("import tensorflow").stderr != ""


def test_real_warnings_stay_visible(capfd):
    with quiet_startup():
        os.write(2, b"2026 port.cc] oneDNN custom operations are on. You may see\nreal trouble in C++\n")
        print("real trouble in Python", file=sys.stderr)
    printed = capfd.readouterr().err
    assert "oneDNN" not in printed
    assert "real trouble in C++\n" in printed
    assert "real trouble in Python\n" in printed


def test_standard_error_is_put_back_after_an_exception(capfd):
    try:
        with quiet_startup():
            os.write(2, b"told before the end\n")
            raise ImportError("no such module")
    except ImportError:
        pass
    os.write(2, b"told afterwards\n")
    assert capfd.readouterr().err == "told before the end\ntold afterwards\n"


def test_what_counts_as_a_note():
    assert is_startup_note("I0000 00:00:17 port.cc:153] oneDNN custom operations are on. You may see slightly")
    assert is_startup_note("\n")
    assert not is_startup_note("WARNING: the disk is full")
