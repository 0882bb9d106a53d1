"""What computes here: versions of packages, the processor, its instructions, memory, the commit of the project."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from digits_tools.lessons import PROJECT

# Packages whose versions show in outputs: what computes, what draws, and what makes the embedded digits.
OUTPUT_AFFECTING_PACKAGES = ("tensorflow", "keras", "numpy", "matplotlib", "scikit-learn", "pillow")
OTHER_PACKAGES = ("papermill", "nbconvert", "digits-helpers")  # what else a report is made with
OTHER_NAMES = {"tensorflow": ("tensorflow-cpu",)}  # the same modules under another name

# Settings of the environment that change how numbers are computed.
SETTINGS = (
    "TF_ENABLE_ONEDNN_OPTS",
    "ONEDNN_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "TF_NUM_INTRAOP_THREADS",
    "OMP_NUM_THREADS",
)
# What oneDNN tells apart for float32, weakest first, and the names of the needed features in Linux's /proc/cpuinfo.
# AVX-512 is what oneDNN calls AVX512_CORE: the foundation with its BW, DQ and VL parts.
INSTRUCTIONS = {"SSE4.1": "sse4_1", "AVX": "avx", "AVX2": "avx2", "AVX-512": "avx512f avx512bw avx512dq avx512vl"}
# Features for which TensorFlow switches oneDNN on by itself, on Linux only (tensorflow/core/util/port.cc).
NETWORK_FEATURES = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}


def installed_version(name: str) -> str | None:
    """Find the version of an installed package without importing it; None where it is missing."""
    for candidate in (name, *OTHER_NAMES.get(name, ())):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(candidate)
    return None


def package_versions(names: tuple[str, ...] = OUTPUT_AFFECTING_PACKAGES + OTHER_PACKAGES) -> dict[str, str | None]:
    """Find the versions of Python and of packages; None where one is missing."""
    return {"python": platform.python_version(), **{name: installed_version(name) for name in names}}


@dataclass(frozen=True)
class Machine:
    """What computes; `system` and `architecture` are named as in `platform`."""

    system: str = field(default_factory=platform.system)
    architecture: str = field(default_factory=platform.machine)
    processor: str = "unknown"
    features: frozenset[str] | None = None  # its instructions, named as in /proc/cpuinfo; None where unknown
    processors: int = 1  # that this process may use
    memory: int | None = None  # bytes
    settings: dict[str, str] = field(default_factory=dict)  # those of `SETTINGS` that are set

    @property
    def is_x86(self) -> bool:
        """Whether the processor is of the family that AVX belongs to."""
        return self.architecture.lower() in ("x86_64", "amd64")

    @property
    def instruction_sets(self) -> list[str]:
        """What oneDNN could use for float32 on this processor, weakest first; empty where that is unknown."""
        if self.architecture.lower() in ("arm64", "aarch64"):
            return ["NEON"]
        if self.features is None or not self.is_x86:
            return []
        return [name for name, needed in INSTRUCTIONS.items() if self.features.issuperset(needed.split())]

    @property
    def threads(self) -> int:
        """Threads that one operation of TensorFlow uses: TF_NUM_INTRAOP_THREADS, else one per processor."""
        setting = self.settings.get("TF_NUM_INTRAOP_THREADS", "")
        return int(setting) if setting.isdecimal() and int(setting) > 0 else self.processors

    @property
    def uses_onednn(self) -> bool | None:
        """Whether TensorFlow computes with oneDNN here; None where that is unknown."""
        setting = self.settings.get("TF_ENABLE_ONEDNN_OPTS", "").lower()
        if self.system == "Darwin" or setting in ("0", "false"):
            return False  # its packages for macOS come without
        if not self.is_x86:
            return None
        if setting in ("1", "true"):
            return True
        if self.system != "Linux":
            return False
        return None if self.features is None else bool(self.features & NETWORK_FEATURES)

    @property
    def method(self) -> str:
        """What multiplies matrices here, for example "oneDNN with AVX-512"."""
        if self.uses_onednn is None:
            return "unknown instructions" if self.is_x86 else f"code for {self.architecture}"
        if not self.uses_onednn:
            return "TensorFlow without oneDNN"
        best = self.instruction_sets[-1] if self.instruction_sets else "unknown instructions"
        return f"oneDNN with {allowed_instructions(best, self.settings.get('ONEDNN_MAX_CPU_ISA', ''))}"


def allowed_instructions(best: str, limit: str) -> str:
    """Apply ONEDNN_MAX_CPU_ISA (for example "AVX2" or "AVX512_CORE_BF16") to the best instructions."""
    prefixes = {"SSE41": "SSE4.1", "AVX512": "AVX-512", "AVX10": "AVX-512", "AVX2": "AVX2", "AVX": "AVX"}
    most = next((name for prefix, name in prefixes.items() if limit.upper().startswith(prefix)), None)
    if most is None or best not in INSTRUCTIONS:  # oneDNN ignores what it does not know
        return best
    return min(best, most, key=list(INSTRUCTIONS).index)


def this_machine() -> Machine:
    """Describe this machine."""
    import psutil

    name, features = platform.processor(), None
    with suppress(OSError):  # only Linux has it
        name, features = parse_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    return Machine(
        processor=name or "unknown",
        features=features,
        processors=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory=psutil.virtual_memory().total,
        settings={name: os.environ[name] for name in SETTINGS if os.environ.get(name)},
    )


def parse_cpuinfo(text: str) -> tuple[str, frozenset[str] | None]:
    """Read the processor's name and features from Linux's /proc/cpuinfo (x86 and ARM write it differently)."""
    lines = (line.partition(":") for line in text.splitlines())
    facts = {key.strip().lower(): value.strip() for key, _, value in lines}
    features = facts.get("flags") or facts.get("features")
    return facts.get("model name", ""), frozenset(features.split()) if features else None


def machine_facts() -> dict[str, Any]:
    """Describe what computes, as far as it decides numbers and times; nothing in it names the machine."""
    machine = this_machine()
    return {
        "system": machine.system,
        "architecture": machine.architecture,
        "processor": machine.processor,
        "instruction_sets": machine.instruction_sets,
        "method": machine.method,
        "logical_processors": os.cpu_count(),
        "threads": machine.threads,
        "memory": machine.memory,
        "settings": machine.settings,
    }


def git_facts(project: Path = PROJECT) -> dict[str, Any] | None:
    """Find which commit of the project ran, and whether files were changed since.

    Returns:
        "commit" (40 or 64 hexadecimal digits) and "dirty"; None without git, without a commit, or where the project is
        in no repository of its own, as with one that was installed below somebody's own folder.
    """
    if not (project / ".git").exists():
        return None
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(project), "status", "--porcelain=v2", "--branch"]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=10, env=environment, encoding="utf-8")
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    facts = [line.removeprefix("# ").split(" ", 1) for line in done.stdout.splitlines() if line.startswith("# ")]
    commit = dict(facts).get("branch.oid", "(initial)")
    dirty = any(not line.startswith("#") for line in done.stdout.splitlines())
    return None if commit == "(initial)" else {"commit": commit, "dirty": dirty}
