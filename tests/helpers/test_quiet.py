"""TensorFlow's start-up notes are hidden, and nothing else."""

import os
import subprocess
import sys

import pytest

FAKE_TENSORFLOW = """
import os, sys
os.write(2, b"2026 port.cc] oneDNN custom operations are on. You may see\\n\\nreal trouble in C++\\n")
print("real trouble in Python", file=sys.stderr)
class config:
    def list_physical_devices():
        os.write(2, b"E0000 cuda_platform.cc:52] failed call to cuInit: UNKNOWN ERROR (303)\\n")
if os.environ.get("FAIL"):
    raise ImportError("no such module")
"""


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0", **environment},
    )


@pytest.fixture
def fake(tmp_path):
    """A folder with a TensorFlow that writes notes and warnings."""
    (tmp_path / "tensorflow.py").write_text(FAKE_TENSORFLOW)
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()])}


def test_importing_keras_and_a_training_are_quiet():
    finished = run(
        "import digits_helpers, os\nimport keras\nimport numpy as np\n"
        "model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])\n"
        "model.compile('adam', 'mse')\nmodel.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)\n",
        TF_CPP_MIN_LOG_LEVEL="1",
    )
    assert (finished.stdout, finished.stderr, finished.returncode) == ("", "", 0)


@pytest.mark.weekly
def test_without_it_tensorflow_writes_notes():
    # If this fails, TensorFlow has become quiet by itself, and the module can go.
    assert run("import tensorflow").stderr != ""


def test_warnings_during_the_import_pass_and_notes_do_not(fake):
    code = "import digits_helpers, tensorflow, os\nos.write(2, b'oneDNN custom operations are on\\n')\n"
    assert run(code, **fake).stderr.splitlines() == [
        "real trouble in C++",
        "real trouble in Python",
        "oneDNN custom operations are on",  # written after the import
    ]


def test_the_module_is_as_if_it_had_been_imported_by_python_alone(fake):
    code = (
        "import importlib.util, digits_helpers\n"
        "importlib.util.find_spec('tensorflow')\n"  # looking does not count as importing
        "import tensorflow\n"
        "print(type(tensorflow.__loader__).__name__, tensorflow.__loader__ is tensorflow.__spec__.loader)\n"
    )
    finished = run(code, **fake)
    assert finished.stdout == "SourceFileLoader True\n"
    assert "oneDNN" not in finished.stderr


def test_where_tensorflow_was_imported_before_nothing_happens(fake):
    finished = run("import sys, tensorflow, digits_helpers\nprint(len(sys.meta_path))", **fake)
    assert finished.stderr.count("oneDNN") == 1
    assert int(finished.stdout) == int(run("import sys; print(len(sys.meta_path))", **fake).stdout)


def test_standard_error_is_put_back_after_a_failure(fake):
    code = (
        "import digits_helpers, os\ntry:\n    import tensorflow\nexcept ImportError as error:\n    print(error)\n"
        "os.write(2, b'afterwards')"
    )
    finished = run(code, FAIL="1", **fake)
    assert finished.stdout == "no such module\n"
    assert finished.stderr.startswith("real trouble in C++")
    assert finished.stderr.endswith("afterwards")


def test_importing_the_package_and_its_data_is_light():
    loaded = run("import sys, digits_helpers.data; print(*sys.modules)").stdout.split()
    assert "numpy" in loaded
    assert not {"tensorflow", "keras", "matplotlib", "sklearn", "PIL", "pooch", "requests", "IPython"} & set(loaded)
