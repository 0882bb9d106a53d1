"""Start TensorFlow without its start-up notes (all lessons that train or evaluate)."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

# TensorFlow 2.21 writes these notes to the process's standard error before any logging switch works: that oneDNN is
# on, that no GPU was found, which instructions the binary could use. They differ between machines and ask nothing of
# the reader. Everything else that appears while TensorFlow starts is passed on.
STARTUP_NOTES = (
    "WARNING: All log messages before absl::InitializeLog()",
    "oneDNN custom operations are on",
    "Could not find cuda drivers",
    "This TensorFlow binary is optimized",
    "To enable the following instructions",
    "failed call to cuInit",
    "Unable to register cu",
    "computation_placer already registered",
    "TensorFlow was not built with CUDA",
    "Cannot dlopen some GPU libraries",
    "Skipping registering GPU devices",
    "https://www.tensorflow.org/install/gpu",
)


def is_startup_note(line: str) -> bool:
    """Tell whether a line of standard error is one of TensorFlow's start-up notes (or empty)."""
    return not line.strip() or any(note in line for note in STARTUP_NOTES)


@contextlib.contextmanager
def quiet_startup() -> Iterator[None]:
    """Hide TensorFlow's start-up notes while the block imports it; real warnings stay visible.

    The C++ part of TensorFlow writes to file descriptor 2, past ``sys.stderr``. The descriptor points to a temporary
    file while the block runs; afterwards each line that is not in ``STARTUP_NOTES`` is written to ``sys.stderr``.
    On leaving the block TensorFlow looks for its devices, because a part of the notes comes only then. Notes that
    come later still, from a training, are switched off by their level; warnings and errors have higher ones.

    Yields:
        Nothing; write the imports of ``keras`` and ``tensorflow`` into the block.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # 0 shows notes as well, 1 warnings, 2 errors only
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
            if "tensorflow" in sys.modules:
                sys.modules["tensorflow"].config.list_logical_devices()
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            caught.seek(0)
            lines = caught.read().decode("utf-8", errors="replace").splitlines(keepends=True)
            sys.stderr.write("".join(line for line in lines if not is_startup_note(line)))
