"""Say what the lessons find on this machine, and which of their numbers should be equal here (`digits doctor`).

Each part has a function that asks the machine and one that judges the answer; the second kind works on the answers of
any machine.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import textwrap
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from digits_helpers.refresh import NETWORKS
from digits_helpers.series import LESSONS, NOTEBOOKS, PROJECT

OK, NOTE, STOP = "ok", "note", "stop"
MARKS = {OK: " ", NOTE: "?", STOP: "!"}
INSTALL = "Install the packages of the lock: pip install -r requirements.txt in the folder of the project."
AS_IT_IS = {"break_long_words": False, "break_on_hyphens": False}  # a path stays in one piece

# Packages whose versions show in outputs: what computes, what draws, and what makes the embedded digits.
SHOWING = ("tensorflow", "keras", "numpy", "matplotlib", "scikit-learn", "pillow")
OTHER_NAMES = {"tensorflow": ("tensorflow-cpu",)}  # the same modules under another name

# Settings of the environment that change how numbers are computed.
SETTINGS = (
    "TF_ENABLE_ONEDNN_OPTS",
    "ONEDNN_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "TF_NUM_INTRAOP_THREADS",
    "OMP_NUM_THREADS",
)
INSTRUCTIONS = ("SSE4.1", "AVX", "AVX2", "AVX-512")  # what oneDNN tells apart for float32, weakest first
# Instructions for which TensorFlow switches oneDNN on by itself, on Linux only (tensorflow/core/util/port.cc).
NETWORK_FEATURES = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}
# IsProcessorFeaturePresent's numbers (winnt.h).
WINDOWS_FEATURES = {37: "sse4_1", 39: "avx", 40: "avx2", 41: "avx512f avx512bw avx512dq avx512vl"}

# How the stored numbers were computed.
STORED_METHOD, STORED_THREADS = "oneDNN with AVX-512", 2

GIGABYTE = 1e9
# A kernel that trains on MNIST was measured to take 1.2 GB; JupyterLab, a browser and the system want some as well.
ENOUGH_MEMORY, ENOUGH_DISK = 3 * GIGABYTE, 0.3 * GIGABYTE


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's answer.

    Attributes:
        section: heading that it stands under.
        name: what was looked at.
        value: what was found.
        status: "ok", "note" (may change numbers, or ask for patience) or "stop" (the lessons cannot run).
        advice: what to do, a sentence; empty where nothing is to be done.
    """

    section: str
    name: str
    value: str
    status: str = OK
    advice: str = ""


@dataclass(frozen=True)
class Machine:
    """What computes.

    Attributes:
        system: "Linux", "Darwin" or "Windows".
        architecture: as `platform.machine` says it, for example "x86_64" or "arm64".
        processor: its name.
        features: its instructions, named as in Linux's /proc/cpuinfo; None where they are unknown.
        processors: how many this process may use.
        memory: bytes that this process may use; None where it is unknown.
        settings: those environment variables of `SETTINGS` that are set.
    """

    system: str
    architecture: str
    processor: str
    features: frozenset[str] | None
    processors: int
    memory: float | None
    settings: Mapping[str, str]


# --- Packages ---


def locked_versions(lock: str) -> dict[str, str]:
    """Read which version the lock (the text of requirements.txt) gives each package on this Python and system."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    versions = {}
    for line in lock.splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            requirement = Requirement(line.partition(" #")[0].removesuffix("\\"))
            if requirement.marker is None or requirement.marker.evaluate():
                versions[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    return versions


def read_lock(project: Path = PROJECT) -> dict[str, str] | None:
    """Read the project's lock; None where it is not there, as with a package installed without its project."""
    path = project / "requirements.txt"
    return locked_versions(path.read_text(encoding="utf-8")) if path.is_file() else None


def declared_bounds() -> tuple[str, dict[str, str]]:
    """Read which Python this package wants, and which versions of which packages; empty where it is not installed."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    try:
        facts = metadata.metadata("digits-helpers")
    except metadata.PackageNotFoundError:
        return "", {}
    requirements = [Requirement(text) for text in facts.get_all("Requires-Dist") or []]
    wanted = [item for item in requirements if item.marker is None or item.marker.evaluate({"extra": ""})]
    return facts["Requires-Python"] or "", {canonicalize_name(item.name): str(item.specifier) for item in wanted}


def installed_version(name: str) -> str | None:
    """Find the version of an installed package without importing it; None where it is missing."""
    for candidate in (name, *OTHER_NAMES.get(name, ())):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(candidate)
    return None


def judge_version(name: str, installed: str | None, locked: str | None, bounds: str) -> Finding:
    """Compare one version with the lock and with the bounds that this package declares.

    Args:
        name: of the package, or "Python".
        installed: its version; None if it is missing.
        locked: the version of the lock; None where the lock says nothing.
        bounds: a version specifier, for example ">=2.21,<2.22"; empty where none is declared.

    Returns:
        A stop where the package is missing or out of bounds, a note where only the lock has another version.
    """
    from packaging.specifiers import SpecifierSet

    advice = INSTALL
    if installed is None:
        return Finding("Packages", name, "not installed", STOP, advice)
    if not SpecifierSet(bounds).contains(installed, prereleases=True):
        if name == "Python":
            advice = f"Install a Python that fits {bounds}, and the packages again with it."
        return Finding("Packages", name, f"{installed}, but the lessons need {bounds}", STOP, advice)
    if locked not in (None, installed):
        return Finding("Packages", name, f"{installed}, but the lock has {locked}", NOTE, advice)
    return Finding("Packages", name, f"{installed}, as in the lock" if locked else installed)


def examine_packages() -> list[Finding]:
    """Compare Python and the packages that show in outputs with the lock, and look whether the others are there."""
    lock = read_lock()
    wanted_python, bounds = declared_bounds()
    findings = [judge_version("Python", platform.python_version(), None, wanted_python)]
    for name in SHOWING:
        findings.append(judge_version(name, installed_version(name), (lock or {}).get(name), bounds.get(name, "")))
    others = [name for name in bounds if name not in SHOWING]
    missing = [name for name in others if installed_version(name) is None]
    if missing:
        findings.append(judge_version(", ".join(missing), None, None, ""))
    elif others:
        findings.append(Finding("Packages", "others", f"all {len(others)} installed"))
    if lock is None:
        findings.append(Finding("Packages", "lock", "no requirements.txt here, so only bounds were compared", NOTE))
    return findings


# --- Machine ---


def parse_cpuinfo(text: str) -> tuple[str, frozenset[str] | None]:
    """Read the processor's name and instructions from Linux's /proc/cpuinfo (x86 and ARM write it differently)."""
    lines = (line.partition(":") for line in text.splitlines())
    facts = {key.strip().lower(): value.strip() for key, _, value in lines}
    features = facts.get("flags") or facts.get("features")
    return facts.get("model name", ""), frozenset(features.split()) if features else None


def parse_sysctl(text: str) -> tuple[str, frozenset[str] | None]:
    """Read the same from what macOS's `sysctl machdep.cpu` prints."""
    facts = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    words = f"{facts.get('machdep.cpu.features', '')} {facts.get('machdep.cpu.leaf7_features', '')}".lower().split()
    as_in_linux = {"sse4.1": "sse4_1", "avx1.0": "avx", "avx512vnni": "avx512_vnni"}
    features = frozenset(as_in_linux.get(word, word) for word in words)
    return facts.get("machdep.cpu.brand_string", ""), features or None


def windows_features(is_present: Callable[[int], int]) -> frozenset[str] | None:
    """Ask Windows about instructions; old versions know AVX, but say no to what they do not know."""
    found = " ".join(names for number, names in WINDOWS_FEATURES.items() if is_present(number)).split()
    return frozenset(found) or None


def probe_processor(system: str) -> tuple[str, frozenset[str] | None]:
    """Find the processor's name and instructions; what cannot be found is empty, or None."""
    with suppress(OSError, subprocess.SubprocessError, AttributeError):
        if system == "Linux":
            return parse_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
        if system == "Darwin":
            done = subprocess.run(["sysctl", "machdep.cpu"], capture_output=True, text=True, timeout=10)
            return parse_sysctl(done.stdout)
        if system == "Windows":
            return platform.processor(), windows_features(ctypes.windll.kernel32.IsProcessorFeaturePresent)
    return "", None


def probe_memory(
    limits: tuple[str, ...] = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
) -> float | None:
    """Find the bytes of memory that this process may use: the machine's, or fewer in a container."""
    sizes = []
    with suppress(AttributeError, OSError, ValueError):  # Windows has no sysconf
        sizes.append(float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")))
    for path in limits:
        with suppress(OSError, ValueError):  # not a container, or one without limit ("max")
            sizes.append(float(Path(path).read_text(encoding="ascii")))
    with suppress(AttributeError):
        kilobytes = ctypes.c_ulonglong()
        if ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes)):
            sizes.append(kilobytes.value * 1024.0)
    return min(sizes, default=None)


def probe_machine() -> Machine:
    """Ask this machine."""
    system, architecture = platform.system(), platform.machine()
    name, features = probe_processor(system)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    settings = {name: os.environ[name] for name in SETTINGS if os.environ.get(name)}
    return Machine(system, architecture, name or "unknown", features, processors, probe_memory(), settings)


def is_x86(machine: Machine) -> bool:
    """Tell whether the processor is of the family that AVX belongs to."""
    return machine.architecture.lower() in ("x86_64", "amd64")


def best_instructions(machine: Machine) -> str:
    """Name the best instructions that oneDNN could use for float32 on this processor.

    AVX-512 is what oneDNN calls AVX512_CORE: the foundation with its BW, DQ and VL parts.
    """
    if machine.architecture.lower() in ("arm64", "aarch64"):
        return "NEON"
    if machine.features is None or not is_x86(machine):
        return "unknown"
    needed = dict(zip(INSTRUCTIONS, ("sse4_1", "avx", "avx2", "avx512f avx512bw avx512dq avx512vl"), strict=True))
    fitting = [name for name, features in needed.items() if machine.features.issuperset(features.split())]
    return fitting[-1] if fitting else "none of " + ", ".join(INSTRUCTIONS)


def allowed_instructions(best: str, limit: str) -> str:
    """Apply ONEDNN_MAX_CPU_ISA (for example "AVX2" or "AVX512_CORE_BF16") to the best instructions.

    >>> allowed_instructions("AVX-512", "AVX2"), allowed_instructions("AVX2", "AVX512_CORE")
    ('AVX2', 'AVX2')
    """
    prefixes = {"SSE41": "SSE4.1", "AVX512": "AVX-512", "AVX10": "AVX-512", "AVX2": "AVX2", "AVX": "AVX"}
    most = next((name for prefix, name in prefixes.items() if limit.upper().startswith(prefix)), None)
    if most is None or best not in INSTRUCTIONS:  # oneDNN ignores what it does not know
        return best
    return min(best, most, key=INSTRUCTIONS.index)


def uses_onednn(machine: Machine) -> bool | None:
    """Tell whether TensorFlow computes with oneDNN here; None where that is unknown."""
    setting = machine.settings.get("TF_ENABLE_ONEDNN_OPTS", "").lower()
    if machine.system == "Darwin" or setting in ("0", "false"):
        return False  # its packages for macOS come without
    if not is_x86(machine):
        return None
    if setting in ("1", "true"):
        return True
    if machine.system != "Linux":
        return False
    return None if machine.features is None else bool(machine.features & NETWORK_FEATURES)


def method(machine: Machine) -> str:
    """Name what multiplies matrices here, in the words of `STORED_METHOD`."""
    onednn = uses_onednn(machine)
    if onednn is None:
        return "unknown instructions" if is_x86(machine) else f"code for {machine.architecture}"
    if not onednn:
        return "TensorFlow without oneDNN"
    limit = machine.settings.get("ONEDNN_MAX_CPU_ISA", "")
    return f"oneDNN with {allowed_instructions(best_instructions(machine), limit)}"


def thread_count(machine: Machine) -> int:
    """Count the threads that one operation of TensorFlow uses: TF_NUM_INTRAOP_THREADS, else one per processor."""
    setting = machine.settings.get("TF_NUM_INTRAOP_THREADS", "")
    return int(setting) if setting.isdecimal() and int(setting) > 0 else machine.processors


def examine_machine(machine: Machine, free_disk: float) -> list[Finding]:
    """Judge the machine.

    Args:
        machine: what `probe_machine` found.
        free_disk: bytes.
    """
    best = best_instructions(machine)
    lacks_avx = is_x86(machine) and machine.features is not None and best not in INSTRUCTIONS[1:]
    without = "TensorFlow's packages need a processor with AVX: use another machine."
    memory = "unknown" if machine.memory is None else f"{machine.memory / GIGABYTE:.1f} GB"
    little = machine.memory is not None and machine.memory < ENOUGH_MEMORY
    close = "Close other programs; where a kernel dies in lesson 04, use a machine with more memory."
    full = free_disk < ENOUGH_DISK
    return [
        Finding("Machine", "system", f"{machine.system} on {machine.architecture}"),
        Finding("Machine", "processor", f"{machine.processor}, {machine.processors} usable"),
        Finding("Machine", "instructions", best, *((STOP, without) if lacks_avx else ())),
        Finding("Machine", "computed by", method(machine)),
        Finding("Machine", "threads", str(thread_count(machine))),
        Finding("Machine", "memory", memory, *((NOTE, close) if little else ())),
        Finding("Machine", "free disk", f"{free_disk / GIGABYTE:.1f} GB", *((STOP, "Make room.") if full else ())),
        *(judge_setting(name, machine.settings.get(name, "")) for name in SETTINGS),
    ]


def judge_setting(name: str, value: str) -> Finding:
    """Judge an environment variable; one of them makes what should agree to six digits agree to three."""
    if name == "ONEDNN_DEFAULT_FPMATH_MODE" and value.upper() not in ("", "STRICT"):
        return Finding("Machine", name, value, NOTE, "Unset it: it lets oneDNN compute with fewer digits.")
    return Finding("Machine", name, value or "not set")


def artifacts_folder(notebooks: Path = NOTEBOOKS) -> Path:
    """Name the folder in which lessons leave what later ones need, without making it."""
    return Path(os.environ.get("DIGITS_ARTIFACTS_DIR") or notebooks / "artifacts").expanduser().absolute()


def existing_folder(folder: Path) -> Path:
    """Find the folder, or the nearest one above it that exists: the one in which it would be made."""
    return next(candidate for candidate in (folder, *folder.parents) if candidate.exists())


# --- What the lessons need ---


@contextmanager
def offline() -> Iterator[None]:
    """Forbid downloads while the block runs."""
    before = os.environ.get("DIGITS_OFFLINE")
    os.environ["DIGITS_OFFLINE"] = "1"
    try:
        yield
    finally:
        os.environ.pop("DIGITS_OFFLINE")
        if before is not None:
            os.environ["DIGITS_OFFLINE"] = before


def examine_mnist(download: bool = False) -> Finding:
    """Look for MNIST where the lessons do, and verify its digests.

    Args:
        download: whether it may be downloaded where it is missing.
    """
    from digits_helpers.data import DatasetError, MnistUnavailable, load_digits

    chosen = os.environ.get("DIGITS_DATA_DIR")
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    place = f"DIGITS_DATA_DIR, {chosen}" if chosen else f"Keras's cache, {home / 'datasets'}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if download:
                found = load_digits("mnist")
            else:
                with offline():
                    found = load_digits("mnist")
        except MnistUnavailable as error:
            damaged = "".join(f"; {warning.message}" for warning in caught)
            advice = str(error) if download else _advice_without_mnist()
            # Without MNIST the lessons work; who asked for it must learn from the exit status that it did not come.
            status = STOP if download else NOTE
            return Finding("Data", "MNIST", f"not here (looked in {place}{damaged})", status, advice)
        except DatasetError as error:  # the reader has named a folder, and it is no good
            return Finding("Data", "MNIST", f"not usable (looked in {place})", STOP, str(error))
    return Finding("Data", "MNIST", f"its digests match; found in {found.source}")


def _advice_without_mnist() -> str:
    if os.environ.get("DIGITS_OFFLINE", "") not in ("", "0"):
        return "DIGITS_OFFLINE forbids to download it, so the lessons take the embedded digits instead."
    return "Lesson 01 downloads it, as does digits doctor --download; without a network the embedded digits take its place."


def examine_network(folder: Path | None = None) -> Finding:
    """Check that the network that ships with the series is the one that its description states.

    The digest is that of `train.weights_digest`, computed without Keras.
    """
    folder = folder or Path(os.environ.get("DIGITS_NETWORKS_DIR") or NETWORKS)
    again = "Install the package again; until then run lesson 04 before lesson 05."
    try:
        import numpy as np

        expected = json.loads((folder / "reference.json").read_text(encoding="utf-8"))["weights_sha256"]
        digest = hashlib.sha256()
        with np.load(folder / "reference.npz", allow_pickle=False) as arrays:
            for position in range(len(arrays.files)):
                digest.update(arrays[f"weights_{position}"].astype("<f4").tobytes())
    except FileNotFoundError as error:
        return Finding("Data", "shipped network", f"{Path(error.filename).name} is missing", STOP, again)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        return Finding("Data", "shipped network", f"damaged ({type(error).__name__})", STOP, again)
    if digest.hexdigest() != expected:
        return Finding("Data", "shipped network", "its weights are not the ones that reference.json states", STOP, again)
    return Finding("Data", "shipped network", f"whole, weights {expected[:12]}…")


def examine_notebooks(folder: Path = NOTEBOOKS) -> Finding:
    """Look whether the notebooks of all lessons are there and can be read."""
    broken = []
    for lesson in LESSONS:
        try:
            json.loads((folder / lesson.notebook).read_text(encoding="utf-8"))["cells"]
        except (OSError, ValueError, KeyError, TypeError):
            broken.append(lesson.notebook)
    if broken:
        advice = "Run this from a complete copy of the project, installed with pip install -r requirements.txt there."
        return Finding("Data", "notebooks", f"missing or damaged: {', '.join(broken)}", STOP, advice)
    return Finding("Data", "notebooks", f"all {len(LESSONS)} in {folder}")


def examine_keras_settings() -> Finding:
    """Look whether Keras computes with TensorFlow and in its usual way; it takes settings from a file, too."""
    path = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "keras.json"
    usual = {"backend": "tensorflow", "floatx": "float32", "image_data_format": "channels_last", "epsilon": 1e-7}
    found: dict[str, object] = {}
    with suppress(OSError, ValueError, AttributeError):  # Keras ignores a file that it cannot read
        found.update(json.loads(path.read_text(encoding="utf-8")).items())
    if os.environ.get("KERAS_BACKEND"):
        found["backend"] = os.environ["KERAS_BACKEND"]
    other = [f"{name} {found[name]}" for name in usual if found.get(name, usual[name]) != usual[name]]
    if not other:
        return Finding("Data", "Keras settings", "the usual ones")
    advice = f"The lessons need Keras's own settings: unset KERAS_BACKEND, and remove {path} if it is there."
    return Finding("Data", "Keras settings", ", ".join(other), STOP, advice)


def examine_artifacts(folder: Path, writable: bool) -> Finding:
    """Look whether the lessons can leave files, and whether the reader's own network takes the shipped one's place.

    Args:
        folder: the artifacts folder; lesson 04 makes it.
        writable: whether it, or else the folder that it would be made in, can be written.
    """
    if not writable:
        advice = "Set DIGITS_ARTIFACTS_DIR to a folder of yours."
        return Finding("Data", "own network", f"lesson 04 cannot leave one in {folder}", STOP, advice)
    if not (folder / "training.json").is_file():
        return Finding("Data", "own network", "none, so lesson 05 takes the shipped one")
    return Finding("Data", "own network", f"in {folder}; lesson 05 takes it", NOTE)


# --- What follows ---


def consequences(machine: Machine, findings: list[Finding]) -> list[Finding]:
    """Say in plain words which outputs should be equal to the stored ones here.

    Args:
        machine: what computes.
        findings: what was found about packages and data.
    """
    status = {finding.name: finding.status for finding in findings}
    other_versions = [name for name in SHOWING if status.get(name, OK) != OK]
    exact = "Shapes, counts, parameter counts, the figures of the data: equal to the letter and to the pixel."
    if other_versions:
        exact += f" Not quite here: other versions of {', '.join(other_versions)} may print or draw differently."
    close = "What a fixed network computes (cells tagged close, most in lesson 05): equal to about six digits everywhere."
    lines = [("exact", exact), ("close", close), ("trained", _about_training(machine))]
    if status.get("MNIST") != OK:
        without = "MNIST is not here, so every output that depends on the images shows others."
        lines.insert(0, ("without MNIST", without))
    elif status.get("own network") == NOTE:
        own = 'Lesson 05 shows your own network: its numbers are those of your training. network = "shipped" shows the stored ones.'
        lines.append(("own network", own))
    lines.append(("never", "Times, paths, versions: one cell of lesson 05 describes the machine, and nothing compares it."))
    return [Finding("What follows", name, text) for name, text in lines]


def _about_training(machine: Machine) -> str:
    """Say how close a training of the same seed comes to the stored one."""
    begin = "What a training ends in (cells tagged trained, most in lesson 04): "
    here, threads = method(machine), thread_count(machine)
    differences = [f"{here} instead of {STORED_METHOD}"] if here != STORED_METHOD else []
    if threads != STORED_THREADS:
        differences.append(f"{threads} thread{'s' if threads > 1 else ''} instead of {STORED_THREADS}")
    if not differences:
        return (
            f"{begin}this machine computes as the one that stored the numbers ({STORED_METHOD}, {STORED_THREADS} threads), "
            "so they should be equal or nearly so; another model of processor can still change last digits."
        )
    return (
        f"{begin}near the stored numbers, but not equal. This machine computes with {' and '.join(differences)}: the same "
        "numbers are added in another order, and training magnifies the rounding. Lesson 05 shows how far one seed "
        "came apart on several kinds of machine; tests/tolerances.toml says how much difference the check allows."
    )


# --- All of it ---


def diagnose(download: bool = False) -> list[Finding]:
    """Examine packages, machine and data, and say what follows (the command `digits doctor`).

    Args:
        download: whether MNIST may be downloaded where it is missing.

    Returns:
        The findings, in the order in which they are shown.
    """
    machine, artifacts = probe_machine(), artifacts_folder()
    above = existing_folder(artifacts)
    parts: tuple[Callable[[], Finding | list[Finding]], ...] = (
        examine_packages,
        lambda: examine_machine(machine, float(shutil.disk_usage(above).free)),
        lambda: examine_mnist(download),
        examine_network,
        lambda: examine_artifacts(artifacts, os.access(above, os.W_OK)),
        examine_notebooks,
        examine_keras_settings,
    )
    findings: list[Finding] = []
    for examine in parts:
        try:
            found = examine()
        except ImportError as error:  # of packages that this function needs itself
            found = _not_importable(error)
        except OSError as error:
            found = Finding("Data", "examination", f"not finished ({error})", NOTE)
        findings += found if isinstance(found, list) else [found]
    return findings + consequences(machine, findings)


def _not_importable(error: ImportError) -> Finding:
    return Finding("Packages", str(error.name), f"cannot be imported ({error})", STOP, INSTALL)


def stops(findings: list[Finding]) -> int:
    """Count the findings that stop the lessons."""
    return sum(finding.status == STOP for finding in findings)


def as_text(findings: list[Finding], width: int = 110) -> str:
    """Write findings as aligned text, with "!" before what stops the lessons and "?" before what is to be known."""
    longest = max(len(finding.name) for finding in findings)
    indent = " " * (longest + 6)
    lines: list[str] = []
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            lines += ["", section] if lines else [section]
        first = f"  {MARKS[finding.status]} {finding.name:{longest}}  "
        for start, text in ((first, finding.value), (f"{indent}→ ", finding.advice)):
            if text:
                lines += textwrap.wrap(text, width, initial_indent=start, subsequent_indent=indent, **AS_IT_IS)
    count = stops(findings)
    verdict = f"{count} of these, marked !, must be put right first." if count else "Nothing here stops the lessons."
    return "\n".join([*lines, "", verdict])


def as_json(findings: list[Finding]) -> str:
    """Write findings as JSON, for programs."""
    content = {"ready": not stops(findings), "findings": [asdict(finding) for finding in findings]}
    return json.dumps(content, indent=1, ensure_ascii=False)
