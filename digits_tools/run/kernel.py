"""The kernel that executes a lesson: this Python's, with an environment of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCRATCH = "digits-kernel-"  # how the temporary folders of kernels begin; it stands in their command lines
# Describes what figures draw in the metadata of their outputs, for whoever compares notebooks.
CONFIG = 'c.InteractiveShellApp.extensions = ["nbval_tolerance"]\n'


def absolute_folders() -> dict[str, str]:
    """Return the environment variables that name folders of data, with absolute paths.

    Kernels work in another folder than this process; a path that is relative to this one would lead nowhere.
    """
    names = ("DIGITS_DATA_DIR", "DIGITS_NETWORKS_DIR", "KERAS_HOME")
    return {name: str(Path(os.environ[name]).expanduser().resolve()) for name in names if os.environ.get(name)}


def kernel_environment(ipython: Path, variables: Mapping[str, str | Path]) -> dict[str, str]:
    """Build the environment of a kernel, with an empty folder as its IPython folder and some variables besides.

    What a reader has set up for IPython (start-up files, other figure formats) would change what the lessons show.
    """
    profile = ipython / "profile_default"
    profile.mkdir()
    (profile / "ipython_kernel_config.py").write_text(CONFIG, encoding="utf-8")
    return {
        **os.environ,
        "IPYTHONDIR": str(ipython),
        "TQDM_DISABLE": "1",  # a progress bar must leave nothing in an output
        **absolute_folders(),
        **{name: str(value) for name, value in variables.items()},
    }


def kernel_manager(environment: dict[str, str]) -> type:
    """Make the class that starts the kernel of this very Python with an environment.

    A kernel named python3 that is registered in the reader's home folder can be another Python's.
    """
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    class LessonKernel(AsyncKernelManager):
        async def start_kernel(self, **options: Any) -> None:
            self._kernel_spec = KernelSpec(resource_dir="", **get_kernel_dict())
            # What the kernel's process prints besides the notebook would tear the progress bar
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            await super().start_kernel(**{**options, **quiet, "env": environment})

    return LessonKernel


def end_kernels(folder: Path) -> None:
    """End kernels that a killed run has left at work in a folder, so that they write nothing into the next run.

    They end themselves within about a second; a run that follows at once must not wait for that.
    """
    import psutil

    for process in psutil.process_iter(["cmdline", "cwd"]):
        ours = any(SCRATCH in word for word in process.info["cmdline"] or ())
        if ours and process.info["cwd"] == str(folder.resolve()):
            with contextlib.suppress(psutil.Error):
                process.kill()
                process.wait(10)
