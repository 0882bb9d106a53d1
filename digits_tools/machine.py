"""Say what a report was made with: packages, machine and commit."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from digits_helpers.series import PROJECT

PACKAGES = ("tensorflow", "keras", "numpy", "matplotlib", "scikit-learn", "papermill", "nbconvert", "digits-helpers")


def package_versions() -> dict[str, str | None]:
    """Find the versions of Python and of the packages that compute, draw and run; None where one is missing."""
    from digits_helpers.doctor import installed_version  # late, for doctor imports much that a report needs only now

    return {"python": platform.python_version(), **{name: installed_version(name) for name in PACKAGES}}


def machine_facts() -> dict[str, Any]:
    """Describe what computes, as far as it decides numbers and times; nothing in it names the machine."""
    from digits_helpers import doctor

    machine = doctor.probe_machine()
    best = doctor.best_instructions(machine)
    families = [family for family in (doctor.INSTRUCTIONS, ("NEON",)) if best in family]
    return {
        "system": machine.system,
        "architecture": machine.architecture,
        "processor": machine.processor,
        "instruction_sets": [name for family in families for name in family[: family.index(best) + 1]],
        "method": doctor.method(machine),
        "logical_processors": os.cpu_count(),
        "threads": doctor.thread_count(machine),
        "memory": None if machine.memory is None else int(machine.memory),
        "settings": dict(machine.settings),
    }


def git_facts(project: Path = PROJECT) -> dict[str, Any] | None:
    """Find which commit of the project ran, and whether files were changed since.

    Args:
        project: folder of the project.

    Returns:
        "commit" (40 or 64 hexadecimal digits) and "dirty"; None without git, outside a repository, or in one that does
        not hold this package, such as the repository of somebody who installed it below their own folder.
    """
    try:
        _git(project, "ls-files", "--error-unmatch", "--", "digits_helpers/__init__.py")
        return {"commit": _git(project, "rev-parse", "HEAD"), "dirty": bool(_git(project, "status", "--porcelain"))}
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _git(project: Path, *arguments: str) -> str:
    """Ask git something about the project, and about no other repository that the environment names."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(project), *arguments]
    done = subprocess.run(command, capture_output=True, check=True, timeout=10, env=environment, encoding="utf-8")
    return done.stdout.strip()
