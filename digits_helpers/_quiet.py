"""Import TensorFlow without its start-up notes, so that a lesson can write `import keras` and nothing else."""

import contextlib
import importlib.abc
import importlib.machinery
import os
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType

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


def install() -> None:
    """Hide the start-up notes when TensorFlow is imported; nothing happens where it is imported already."""
    if "tensorflow" not in sys.modules and not any(isinstance(finder, _QuietFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _QuietFinder())


class _QuietFinder(importlib.abc.MetaPathFinder):
    """Stands before Python's own finders and gives TensorFlow another loader."""

    def find_spec(self, fullname: str, path=None, target=None) -> importlib.machinery.ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader)
        return spec


class _QuietLoader(importlib.abc.Loader):
    """Lets the real loader do its work while notes are hidden."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self.loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__.loader = module.__loader__ = self.loader  # as if this one had never been there
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # 0 shows later notes as well, 1 warnings, 2 errors only
        with _without_startup_notes():
            self.loader.exec_module(module)
            module.config.list_physical_devices()  # a part of the notes comes only when devices are looked for


@contextlib.contextmanager
def _without_startup_notes() -> Iterator[None]:
    """Pass on what the block writes to standard error, but for the lines that hold one of `STARTUP_NOTES`.

    The C++ part of TensorFlow writes to file descriptor 2, past ``sys.stderr``. The descriptor points to a temporary
    file while the block runs; what is passed on goes to ``sys.stderr`` afterwards.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            caught.seek(0)
            lines = caught.read().decode("utf-8", errors="replace").splitlines(keepends=True)
            sys.stderr.write("".join(line for line in lines if line.strip() and not _is_note(line)))


def _is_note(line: str) -> bool:
    return any(note in line for note in STARTUP_NOTES)
