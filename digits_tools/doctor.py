"""Can the lessons run here, and which of their stored outputs should be equal here? (`digits doctor`)

Each check looks at one thing and returns what it found. None of them writes anything, unless a download is asked for,
or imports TensorFlow, so that the answer comes at once and also where TensorFlow is broken.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import textwrap
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from digits_tools.lessons import LESSONS, NOTEBOOKS, PROJECT, networks_folder
from digits_tools.machine import OUTPUT_AFFECTING_PACKAGES, Machine, installed_version, this_machine

OK, NOTE, STOP = "ok", "note", "stop"
MARKS = {OK: " ", NOTE: "?", STOP: "!"}
INSTALL = "Install the packages of the lock: pip install -r requirements.txt in the folder of the project."

OTHER_NEEDED_PACKAGES = ("pooch", "requests", "ipython", "ipykernel", "jupyterlab")  # to load, to show, to run

STORED_METHOD, STORED_THREADS = "oneDNN with AVX-512", 2  # how the stored numbers were computed
# A kernel that trains on MNIST was measured to take 1.2 GB; JupyterLab, a browser and the system want some as well.
ENOUGH_MEMORY, ENOUGH_DISK = 3e9, 0.3e9  # bytes


@dataclass(frozen=True)
class Check:
    """What one check found.

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


def examine(download: bool = False, notebooks: Path = NOTEBOOKS) -> list[Check]:
    """Check packages, machine and data, and say which stored outputs should be equal here, in the order shown.

    With `download`, MNIST is downloaded where it is missing.
    """
    machine = this_machine()
    parts: tuple[Callable[[], list[Check]], ...] = (
        check_packages,
        check_kernel,
        lambda: check_machine(machine, shutil.disk_usage(notebooks if notebooks.is_dir() else Path.cwd()).free),
        lambda: [check_mnist(download), check_network(), check_notebooks(notebooks), check_keras_settings()],
    )
    checks: list[Check] = []
    for part in parts:
        try:
            checks += part()
        except ImportError as error:  # of a package that the check needs itself
            checks.append(Check("Packages", str(error.name), f"cannot be imported ({error})", STOP, INSTALL))
        except OSError as error:
            checks.append(Check("Machine", "not finished", f"a check stopped ({error})", NOTE))
    return checks + what_follows(machine, checks)


# --- Packages and kernel ---


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


def check_packages(project: Path = PROJECT) -> list[Check]:
    """Compare the installed packages with the project's lock; without a lock, only check whether they are there."""
    path = project / "requirements.txt"
    lock = locked_versions(path.read_text(encoding="utf-8")) if path.is_file() else {}
    checks = [Check("Packages", "Python", platform.python_version())]
    for name in OUTPUT_AFFECTING_PACKAGES:
        checks.append(_judge_version(name, installed_version(name), lock.get(name)))
    missing = [name for name in OTHER_NEEDED_PACKAGES if installed_version(name) is None]
    if missing:
        checks.append(Check("Packages", ", ".join(missing), "not installed", STOP, INSTALL))
    others = [name for name in lock if name not in (*OUTPUT_AFFECTING_PACKAGES, *missing)]
    different = [name for name in others if installed_version(name) != lock[name]]
    if different:
        names = ", ".join(different[:5]) + (" …" if len(different) > 5 else "")
        value = f"{len(different)} of {len(others)} missing or in another version than in the lock ({names})"
        checks.append(Check("Packages", "others", value, NOTE, INSTALL))
    elif lock:
        checks.append(Check("Packages", "others", f"all {len(others)} as in the lock"))
    else:
        checks.append(Check("Packages", "lock", "no requirements.txt here, so no versions were compared", NOTE))
    return checks


def _judge_version(name: str, installed: str | None, locked: str | None) -> Check:
    if installed is None:
        return Check("Packages", name, "not installed", STOP, INSTALL)
    if locked not in (None, installed):
        return Check("Packages", name, f"{installed}, but the lock has {locked}", NOTE, INSTALL)
    return Check("Packages", name, f"{installed}, as in the lock" if locked else installed)


def check_kernel() -> list[Check]:
    """Check whether the kernel that JupyterLab would start for a lesson belongs to this Python, without starting it."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    advice = "Remove it with `jupyter kernelspec uninstall python3`, or start JupyterLab with `digits lab`."
    try:
        python = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return [Check("Packages", "kernel", "there is no kernel python3", STOP, INSTALL)]
    if python in ("python", "python3", f"python3.{sys.version_info.minor}"):  # Jupyter takes its own Python for these
        python = sys.executable
    found = shutil.which(python)
    if found is None:
        return [Check("Packages", "kernel", f"python3 would start {python}, which is not there", STOP, advice)]
    # The Python of a virtual environment is a link to the one that it was made with, but stands in another folder
    same_folder = Path(found).parent.resolve() == Path(sys.executable).parent.resolve()
    if not same_folder or not os.path.samefile(found, sys.executable):
        return [Check("Packages", "kernel", f"python3 starts {python}, which is another Python", NOTE, advice)]
    return [Check("Packages", "kernel", "python3 starts this Python")]


# --- Machine ---


def check_machine(machine: Machine, free_disk: float) -> list[Check]:
    """Judge the machine, with the bytes that are free where the notebooks are."""
    sets, memory = machine.instruction_sets, machine.memory or 0
    without_avx = "TensorFlow's packages need a processor with AVX: use another machine."
    lacks_avx = machine.is_x86 and machine.features is not None and "AVX" not in sets
    close = "Close other programs; where a kernel dies in lesson 04, use a machine with more memory."
    full = "Free disk space and run this again."
    return [
        Check("Machine", "system", f"{machine.system} on {machine.architecture}"),
        Check("Machine", "processor", f"{machine.processor}, {machine.processors} usable"),
        Check("Machine", "instructions", ", ".join(sets) or "unknown", *([STOP, without_avx] * lacks_avx)),
        Check("Machine", "computed by", f"{machine.method}, {_threads(machine.threads)}"),
        Check("Machine", "memory", f"{memory / 1e9:.1f} GB", *([NOTE, close] * (memory < ENOUGH_MEMORY))),
        Check("Machine", "free disk", f"{free_disk / 1e9:.1f} GB", *([STOP, full] * (free_disk < ENOUGH_DISK))),
        *(_judge_setting(name, value) for name, value in machine.settings.items()),
    ]


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def _judge_setting(name: str, value: str) -> Check:
    """Judge an environment variable; one of them makes what should agree to six digits agree to three."""
    if name == "ONEDNN_DEFAULT_FPMATH_MODE" and value.upper() not in ("", "STRICT"):
        return Check("Machine", name, value, NOTE, "Unset it: it lets oneDNN compute with fewer digits.")
    return Check("Machine", name, value)


# --- Data ---


def check_mnist(download: bool = False) -> Check:
    """Look for MNIST as the lessons do; it is downloaded only where that is asked for."""
    from digits_helpers.data import load_digits
    from digits_helpers.errors import DatasetError, MnistUnavailable

    chosen, before = os.environ.get("DIGITS_DATA_DIR"), os.environ.copy()
    os.environ.update({} if download else {"DIGITS_OFFLINE": "1"})
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found, problem = load_digits("mnist", verbose=False).source, None
    except DatasetError as error:
        found, problem = "", error
    finally:
        os.environ.clear()
        os.environ.update(before)
    warned = "".join(f"; {warning.message}" for warning in caught)  # names a damaged file
    if not problem:
        return Check("Data", "MNIST", f"its digests match; found in {found}{warned}")
    place = f"DIGITS_DATA_DIR, {chosen}" if chosen else "Keras's cache"
    value = f"not found (looked in {place}{warned})"
    if not isinstance(problem, MnistUnavailable) or download or chosen:  # explicitly requested, so fatal
        return Check("Data", "MNIST", value, STOP, str(problem))
    advice = "Lesson 01 downloads it, as does digits doctor --download; until then the embedded digits take its place."
    return Check("Data", "MNIST", value, NOTE, advice)


def check_network(folder: Path | None = None) -> Check:
    """Check whether the network that ships with the series is whole."""
    folder = folder or networks_folder()
    again = "Install the package again; until then run lesson 04 before lesson 05."
    try:
        with zipfile.ZipFile(folder / "reference.keras") as network:
            damaged = network.testzip()
        digest = json.loads((folder / "reference.json").read_text(encoding="utf-8"))["weights_sha256"]
    except FileNotFoundError as error:
        return Check("Data", "shipped network", f"{Path(error.filename).name} is missing", STOP, again)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        damaged = type(error).__name__
    if damaged:
        return Check("Data", "shipped network", f"damaged ({damaged})", STOP, again)
    return Check("Data", "shipped network", f"whole, weights {digest[:12]}…")


def check_notebooks(folder: Path = NOTEBOOKS) -> Check:
    """Check whether the notebooks of all lessons can be read, and whether lesson 04 can leave files beside them."""
    broken = []
    for lesson in LESSONS:
        try:
            json.loads((folder / lesson.notebook).read_text(encoding="utf-8"))["cells"]
        except (OSError, ValueError, KeyError, TypeError):
            broken.append(lesson.notebook)
    if broken:
        advice = "Run this from a complete copy of the project, installed with pip install -r requirements.txt there."
        return Check("Data", "notebooks", f"missing or damaged: {', '.join(broken)}", STOP, advice)
    if not os.access(folder, os.W_OK):
        return Check("Data", "notebooks", f"{folder} cannot be written", STOP, "Copy the project to a folder of yours.")
    return Check("Data", "notebooks", f"all {len(LESSONS)} in {folder}")


def check_keras_settings() -> Check:
    """Check whether Keras computes with TensorFlow and in its usual way; it takes settings from a file, too."""
    path = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "keras.json"
    usual = {"backend": "tensorflow", "floatx": "float32", "image_data_format": "channels_last", "epsilon": 1e-7}
    try:
        found = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # Keras ignores a file that it cannot read
        found = {}
    if os.environ.get("KERAS_BACKEND"):
        found["backend"] = os.environ["KERAS_BACKEND"]
    other = [f"{name} {found[name]}" for name in usual if found.get(name, usual[name]) != usual[name]]
    if not other:
        return Check("Data", "Keras settings", "the usual ones")
    advice = f"The lessons need Keras's own settings: unset KERAS_BACKEND, and remove {path} if it is there."
    return Check("Data", "Keras settings", ", ".join(other), STOP, advice)


# --- What follows ---


def what_follows(machine: Machine, checks: list[Check]) -> list[Check]:
    """Say which outputs should be equal to the stored ones here."""
    status = {check.name: check.status for check in checks}
    other_versions = [name for name in OUTPUT_AFFECTING_PACKAGES if status.get(name, OK) != OK]
    exact = "Shapes, counts, parameter counts, the figures of the data: equal to the letter and to the pixel."
    if other_versions:
        exact += f" Not quite here: other versions of {', '.join(other_versions)} may print or draw differently."
    lines = {
        "exact": exact,
        "close": "What a fixed network computes (cells tagged close, most in lesson 05): equal to about six digits.",
        "trained": "What a training ends in (cells tagged trained, most in lesson 04): " + _about_training(machine),
        "never": "Durations, and the cell at the end of lesson 05 that describes the machine: nothing compares them.",
    }
    if status.get("MNIST") != OK:
        lines = {"without MNIST": "Every output that depends on the images shows other numbers.", **lines}
    return [Check("Outputs compared with the stored ones", name, text) for name, text in lines.items()]


def _about_training(machine: Machine) -> str:
    """Say how close a training with the same seed comes to the stored one."""
    here, stored = (machine.method, machine.threads), (STORED_METHOD, STORED_THREADS)
    if here == stored:
        return (
            f"equal or nearly so, because this machine computes like the one that stored them ({STORED_METHOD}, "
            f"{_threads(STORED_THREADS)}); another model of processor can still change the last digits."
        )
    return (
        f"near, but not equal. What is stored was computed by {STORED_METHOD} on {_threads(STORED_THREADS)}, here it "
        f"is {here[0]} on {_threads(here[1])}: numbers are added in another order, and training magnifies rounding. "
        "Lesson 05 shows how far one seed came apart on several machines; the tolerances of the check allow for that."
    )


def stops(checks: list[Check]) -> int:
    """Count the checks that found why the lessons cannot run."""
    return sum(check.status == STOP for check in checks)


def as_text(checks: list[Check], width: int = 110) -> str:
    """Write the checks as aligned text, with "!" before what stops the lessons and "?" before notes."""
    longest = max(len(check.name) for check in checks)
    indent = " " * (longest + 6)
    lines: list[str] = []
    section = ""
    for check in checks:
        if check.section != section:
            section = check.section
            lines += ["", section] if lines else [section]
        first = f"  {MARKS[check.status]} {check.name:{longest}}  "
        for start, text in ((first, check.value), (f"{indent}→ ", check.advice)):
            if text:  # a path stays in one piece
                lines += textwrap.wrap(text, width, initial_indent=start, subsequent_indent=indent,
                                       break_long_words=False, break_on_hyphens=False)  # fmt: skip
    count = stops(checks)
    verdict = f"{count} of these, marked !, must be fixed first." if count else "Nothing here stops the lessons."
    return "\n".join([*lines, "", verdict])


def as_json(checks: list[Check]) -> str:
    """Write the checks as JSON, for programs."""
    content = {"ready": not stops(checks), "checks": [asdict(check) for check in checks]}
    return json.dumps(content, indent=1, ensure_ascii=False)
