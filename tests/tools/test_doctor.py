"""What the doctor says about this machine, and about machines that it is told of."""

import ctypes
import hashlib
import json
import re
import subprocess
import sys
import types
import warnings
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tiny_lessons import write_lesson

from digits_helpers import cli, data, doctor
from digits_helpers.doctor import NOTE, OK, STOP, Finding, Machine
from digits_helpers.series import LESSONS, PROJECT

# Excerpts of what three kinds of machines write.
ZEN4 = """processor\t: 0
model name\t: AMD EPYC
flags\t\t: fpu sse sse4_1 sse4_2 avx avx2 avx512f avx512dq avx512bw avx512vl avx512_bf16 avx512_vnni
processor\t: 1
model name\t: AMD EPYC
flags\t\t: fpu sse sse4_1 sse4_2 avx avx2 avx512f avx512dq avx512bw avx512vl avx512_bf16 avx512_vnni
"""
HASWELL = "model name : Intel(R) Core(TM) i5-4570\nflags : fpu sse4_1 sse4_2 avx fma avx2\n"
PENRYN = "model name : Intel(R) Core(TM)2 Duo\nflags : fpu sse sse4_1\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32\nCPU implementer\t: 0x41\n"
MAC_INTEL = """machdep.cpu.brand_string: Intel(R) Core(TM) i7-1068NG7
machdep.cpu.features: FPU SSE SSE4.1 SSE4.2 AVX1.0
machdep.cpu.leaf7_features: AVX2 AVX512F AVX512DQ AVX512BW AVX512VL AVX512VNNI
"""
MAC_ARM = "machdep.cpu.cores_per_package: 8\nmachdep.cpu.brand_string: Apple M1\n"


def machine(cpuinfo=ZEN4, **changes):
    name, features = doctor.parse_cpuinfo(cpuinfo)
    return replace(Machine("Linux", "x86_64", name, features, 2, 16e9, {}), **changes)


def by_name(findings):
    return {finding.name: finding for finding in findings}


# --- Packages ---

LOCK = """# made by a tool
-e .
    # via -r requirements.in
keras==3.15.1
    # via -r requirements.in
Scikit_Learn==1.9.1 ; sys_platform == 'win32' or sys_platform != 'win32'
numpy==2.4.6 ; python_full_version < '3.0'
numpy==2.5.5 ; python_full_version >= '3.0'
pillow==13.0.0 \\
    --hash=sha256:00
"""


def test_the_lock_is_read_with_its_markers():
    assert doctor.locked_versions(LOCK) == {
        "keras": "3.15.1", "scikit-learn": "1.9.1", "numpy": "2.5.5", "pillow": "13.0.0"
    }  # fmt: skip


def test_the_projects_lock_names_every_package_that_shows():
    assert set(doctor.SHOWING) <= set(doctor.read_lock())


def test_without_the_project_there_is_no_lock(tmp_path, monkeypatch):
    assert doctor.read_lock(tmp_path) is None
    monkeypatch.setattr(doctor, "read_lock", lambda: None)
    finding = by_name(doctor.examine_packages())["lock"]
    assert (finding.status, finding.value) == (NOTE, "no requirements.txt here, so only bounds were compared")


@pytest.mark.parametrize(
    ("installed", "locked", "bounds", "status", "value"),
    [
        ("2.21.0", "2.21.0", ">=2.21,<2.22", OK, "2.21.0, as in the lock"),
        ("2.21.0", None, ">=2.21,<2.22", OK, "2.21.0"),
        ("2.21.1", "2.21.0", ">=2.21,<2.22", NOTE, "2.21.1, but the lock has 2.21.0"),
        ("2.21.1rc1", "2.21.0", ">=2.21,<2.22", NOTE, "2.21.1rc1, but the lock has 2.21.0"),
        ("2.15.0", "2.21.0", ">=2.21,<2.22", STOP, "2.15.0, but the lessons need >=2.21,<2.22"),
        (None, "2.21.0", ">=2.21,<2.22", STOP, "not installed"),
        ("1.0", None, "", OK, "1.0"),
    ],
)
def test_versions_are_judged(installed, locked, bounds, status, value):
    finding = doctor.judge_version("tensorflow", installed, locked, bounds)
    assert (finding.status, finding.value) == (status, value)
    assert ("pip install -r requirements.txt" in finding.advice) == (status != OK)


def test_another_python_needs_another_python():
    finding = doctor.judge_version("Python", "3.14.0", None, ">=3.11,<3.14")
    assert finding.status == STOP
    assert finding.advice == "Install a Python that fits >=3.11,<3.14, and the packages again with it."


def test_this_package_declares_bounds():
    python, bounds = doctor.declared_bounds()
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    assert python.split(",")[0] in text
    assert bounds["papermill"] in text
    assert "pytest" not in bounds  # an extra


def test_missing_packages_are_named(monkeypatch):
    real = metadata.version

    def version(name):
        if name in ("keras", "papermill", "tqdm"):
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    findings = by_name(doctor.examine_packages())
    assert findings["keras"].status == STOP
    assert findings["papermill, tqdm"].status == STOP
    assert findings["numpy"].status != STOP


def test_tensorflow_without_graphics_cards_is_tensorflow(monkeypatch):
    versions = {"tensorflow-cpu": "2.21.0"}

    def version(name):
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(metadata, "version", version)
    assert doctor.installed_version("tensorflow") == "2.21.0"
    assert doctor.installed_version("keras") is None


def test_a_package_that_is_only_on_the_path_declares_nothing(monkeypatch):
    def not_found(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", not_found)
    assert doctor.declared_bounds() == ("", {})
    assert "others" not in by_name(doctor.examine_packages())


# --- Machine ---


@pytest.mark.parametrize(
    ("parsed", "system", "architecture", "name", "best", "computed_by"),
    [
        (doctor.parse_cpuinfo(ZEN4), "Linux", "x86_64", "AMD EPYC", "AVX-512", "oneDNN with AVX-512"),
        # TensorFlow leaves oneDNN off where the processor has no instructions for neural networks
        (doctor.parse_cpuinfo(HASWELL), "Linux", "x86_64", "Intel(R) Core(TM) i5-4570", "AVX2", "TensorFlow without oneDNN"),
        (doctor.parse_cpuinfo(ARM), "Linux", "aarch64", "", "NEON", "code for aarch64"),
        (doctor.parse_cpuinfo(""), "Linux", "x86_64", "", "unknown", "unknown instructions"),
        (doctor.parse_sysctl(MAC_INTEL), "Darwin", "x86_64", "Intel(R) Core(TM) i7-1068NG7", "AVX-512", "TensorFlow without oneDNN"),
        (doctor.parse_sysctl(MAC_ARM), "Darwin", "arm64", "Apple M1", "NEON", "TensorFlow without oneDNN"),
        (doctor.parse_sysctl(""), "Darwin", "x86_64", "", "unknown", "TensorFlow without oneDNN"),
        (("i7", doctor.windows_features(lambda number: number <= 40)), "Windows", "AMD64", "i7", "AVX2", "TensorFlow without oneDNN"),
        (("i7", doctor.windows_features(lambda number: 0)), "Windows", "AMD64", "i7", "unknown", "TensorFlow without oneDNN"),
        (("", frozenset({"fpu"})), "Linux", "x86_64", "", "none of SSE4.1, AVX, AVX2, AVX-512", "TensorFlow without oneDNN"),
    ],
)  # fmt: skip
def test_machines_are_told_apart(parsed, system, architecture, name, best, computed_by):
    assert parsed[0] == name
    told = machine(system=system, architecture=architecture, features=parsed[1])
    assert doctor.best_instructions(told) == best
    assert doctor.method(told) == computed_by


def test_avx512_needs_all_four_parts():
    assert doctor.best_instructions(machine(ZEN4.replace("avx512vl", ""))) == "AVX2"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"ONEDNN_MAX_CPU_ISA": "AVX2"}, "oneDNN with AVX2"),
        ({"ONEDNN_MAX_CPU_ISA": "avx2_vnni"}, "oneDNN with AVX2"),
        ({"ONEDNN_MAX_CPU_ISA": "AVX"}, "oneDNN with AVX"),
        ({"ONEDNN_MAX_CPU_ISA": "SSE41"}, "oneDNN with SSE4.1"),
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, "oneDNN with AVX-512"),
        ({"ONEDNN_MAX_CPU_ISA": "AVX10_1_512"}, "oneDNN with AVX-512"),
        ({"ONEDNN_MAX_CPU_ISA": "DEFAULT"}, "oneDNN with AVX-512"),
        ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "TensorFlow without oneDNN"),
        ({"TF_ENABLE_ONEDNN_OPTS": "False"}, "TensorFlow without oneDNN"),
        ({"TF_ENABLE_ONEDNN_OPTS": "1"}, "oneDNN with AVX-512"),
    ],
)
def test_settings_change_what_computes(settings, expected):
    assert doctor.method(machine(settings=settings)) == expected


def test_a_limit_cannot_give_what_the_processor_lacks():
    settings = {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}
    assert doctor.method(machine(HASWELL, settings=settings)) == "oneDNN with AVX2"


@pytest.mark.parametrize(("setting", "threads"), [("1", 1), ("4", 4), ("0", 2), ("", 2), ("many", 2), ("-1", 2)])
def test_threads(setting, threads):
    assert doctor.thread_count(machine(settings={"TF_NUM_INTRAOP_THREADS": setting})) == threads


def test_a_good_machine_has_nothing_to_be_told():
    findings = doctor.examine_machine(machine(), 100e9)
    assert {finding.status for finding in findings} == {OK}
    values = {finding.name: finding.value for finding in findings}
    assert values["processor"] == "AMD EPYC, 2 usable"
    assert values["memory"] == "16.0 GB"
    assert values["free disk"] == "100.0 GB"
    assert values["OMP_NUM_THREADS"] == "not set"


@pytest.mark.parametrize(
    ("changes", "disk", "name", "status"),
    [
        ({"cpuinfo": PENRYN}, 1e9, "instructions", STOP),
        ({}, 0.1e9, "free disk", STOP),
        ({"memory": 2e9}, 1e9, "memory", NOTE),
        ({"settings": {"ONEDNN_DEFAULT_FPMATH_MODE": "BF16"}}, 1e9, "ONEDNN_DEFAULT_FPMATH_MODE", NOTE),
    ],
)
def test_a_machine_that_lacks_something_is_told_what_to_do(changes, disk, name, status):
    findings = [finding for finding in doctor.examine_machine(machine(**changes), disk) if finding.status != OK]
    assert [(finding.name, finding.status) for finding in findings] == [(name, status)]
    assert findings[0].advice.endswith(".")


def test_what_is_unknown_stops_nobody():
    unknown = machine("", memory=None, system="Plan9", architecture="mips")
    assert doctor.stops(doctor.examine_machine(unknown, 1e9)) == 0


def test_this_machine_can_be_asked():
    told = doctor.probe_machine()
    assert told.processors >= 1
    assert told.memory is None or told.memory > 1e8
    assert doctor.thread_count(told) >= 1


def test_asking_macos_and_windows(monkeypatch):
    run = types.SimpleNamespace(stdout=MAC_ARM)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: run)
    assert doctor.probe_processor("Darwin") == ("Apple M1", None)

    def fail(*_, **__):
        raise FileNotFoundError("sysctl")

    monkeypatch.setattr(subprocess, "run", fail)
    assert doctor.probe_processor("Darwin") == ("", None)

    def memory(pointer):
        pointer._obj.value = 8_000_000
        return 1

    kernel32 = types.SimpleNamespace(
        IsProcessorFeaturePresent=lambda number: number in (37, 39), GetPhysicallyInstalledSystemMemory=memory
    )
    monkeypatch.setattr(ctypes, "windll", types.SimpleNamespace(kernel32=kernel32), raising=False)
    monkeypatch.setattr(doctor.platform, "processor", lambda: "Intel64 Family 6")
    assert doctor.probe_processor("Windows") == ("Intel64 Family 6", frozenset({"sse4_1", "avx"}))
    monkeypatch.delattr(doctor.os, "sysconf", raising=False)
    assert doctor.probe_memory(limits=()) == 8_000_000 * 1024


def test_a_container_has_the_memory_of_its_limit(tmp_path):
    for text, smaller in (("1000000\n", True), ("max\n", False)):
        (tmp_path / "memory.max").write_text(text, encoding="ascii")
        memory = doctor.probe_memory((str(tmp_path / "memory.max"), str(tmp_path / "none")))
        assert (memory == 1e6) == smaller


# --- Data ---


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No MNIST on this machine, and every attempt to download it fails the test."""
    for name in ("DIGITS_DATA_DIR", "DIGITS_OFFLINE", "DIGITS_ARTIFACTS_DIR", "DIGITS_NETWORKS_DIR", "KERAS_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(data, "_fetch", lambda address: pytest.fail(f"downloads {address}"))
    return tmp_path


def test_missing_mnist_is_looked_for_and_not_downloaded(nowhere, monkeypatch):
    finding = doctor.examine_mnist()
    assert finding.status == NOTE
    assert finding.value == f"not here (looked in Keras's cache, {nowhere / 'keras' / 'datasets'})"
    assert "digits doctor --download" in finding.advice
    assert "DIGITS_OFFLINE" not in doctor.os.environ
    monkeypatch.setenv("DIGITS_OFFLINE", "1")
    assert "DIGITS_OFFLINE forbids" in doctor.examine_mnist().advice
    assert doctor.os.environ["DIGITS_OFFLINE"] == "1"


def test_mnist_is_downloaded_when_asked(nowhere, monkeypatch):
    asked = []

    def fetch(address):
        asked.append(address)
        raise data._NotUsable(f"{address} is played to be away")

    monkeypatch.setattr(data, "_fetch", fetch)
    finding = doctor.examine_mnist(download=True)
    assert len(asked) == 2  # Keras's address and the mirror
    assert finding.status == STOP  # a program that asked for the download learns that it failed
    assert "is played to be away" in finding.advice


def test_a_damaged_file_in_the_cache_is_named(nowhere):
    (nowhere / "keras" / "datasets").mkdir(parents=True)
    (nowhere / "keras" / "datasets" / "mnist.npz").write_bytes(b"PK damaged")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the doctor says it, and nobody else
        finding = doctor.examine_mnist()
    assert finding.status == NOTE
    assert "mnist.npz is truncated or damaged" in finding.value


def test_a_named_folder_without_mnist_stops(nowhere, monkeypatch):
    monkeypatch.setenv("DIGITS_DATA_DIR", str(nowhere))
    finding = doctor.examine_mnist()
    assert finding.status == STOP
    assert finding.value == f"not usable (looked in DIGITS_DATA_DIR, {nowhere})"
    assert "put a good copy of mnist.npz there, or unset DIGITS_DATA_DIR" in finding.advice


def test_mnist_is_found_by_its_digests(mnist):
    finding = doctor.examine_mnist()
    assert (finding.status, finding.value) == (OK, f"its digests match; found in {mnist.source}")


def make_network(folder: Path) -> None:
    weights = [np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4).astype("<f2"), np.ones(4, "<f2")]
    digest = hashlib.sha256(b"".join(array.astype(np.float32).astype("<f4").tobytes() for array in weights)).hexdigest()
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / "reference.npz", weights_0=weights[0], weights_1=weights[1])
    (folder / "reference.json").write_text(json.dumps({"weights_sha256": digest}), encoding="utf-8")


def test_the_shipped_network_is_whole():
    """Its digest is computed without Keras; train.load_shipped, with Keras, has a test of its own."""
    assert doctor.examine_network().status == OK
    train = (PROJECT / "digits_helpers" / "train.py").read_text(encoding="utf-8")
    assert re.findall(r'^SHIPPED_\w+ = "(.+)"$', train, re.M) == ["reference.npz", "reference.json"]


def test_a_whole_network_passes_and_a_damaged_one_does_not(tmp_path):
    make_network(tmp_path)
    assert doctor.examine_network(tmp_path).status == OK
    whole = (tmp_path / "reference.npz").read_bytes()

    np.savez_compressed(tmp_path / "reference.npz", weights_0=np.ones((3, 4), "<f2"), weights_1=np.ones(4, "<f2"))
    finding = doctor.examine_network(tmp_path)
    assert (finding.status, finding.value) == (STOP, "its weights are not the ones that reference.json states")

    for damaged in (whole[:-40], b"", b"no archive"):
        (tmp_path / "reference.npz").write_bytes(damaged)
        assert "damaged" in doctor.examine_network(tmp_path).value
    (tmp_path / "reference.npz").write_bytes(whole)
    for damaged in ("{}", "[]", "{", "{'weights_sha256': 1}"):
        (tmp_path / "reference.json").write_text(damaged, encoding="utf-8")
        assert doctor.examine_network(tmp_path).status == STOP


@pytest.mark.parametrize("name", ["reference.npz", "reference.json"])
def test_a_missing_network_is_named(tmp_path, monkeypatch, name):
    make_network(tmp_path)
    (tmp_path / name).unlink()
    monkeypatch.setenv("DIGITS_NETWORKS_DIR", str(tmp_path))
    finding = doctor.examine_network()
    assert (finding.status, finding.value) == (STOP, f"{name} is missing")
    assert "run lesson 04 before lesson 05" in finding.advice


def test_notebooks_that_are_missing_or_damaged_are_named(tmp_path):
    for lesson in LESSONS:
        write_lesson(tmp_path, lesson.number, "1")
    assert doctor.examine_notebooks(tmp_path).value == f"all {len(LESSONS)} in {tmp_path}"
    (tmp_path / LESSONS[0].notebook).unlink()
    (tmp_path / LESSONS[2].notebook).write_text('{"cells": [', encoding="utf-8")
    finding = doctor.examine_notebooks(tmp_path)
    assert finding.status == STOP
    assert finding.value == "missing or damaged: 01_explore_data.ipynb, 03_build_cnn.ipynb"


def test_other_settings_of_keras_stop(nowhere, monkeypatch):
    assert doctor.examine_keras_settings().status == OK
    (nowhere / "keras").mkdir()
    settings = nowhere / "keras" / "keras.json"
    for text, status in (
        ('{"floatx": "float32", "backend": "tensorflow", "epsilon": 1e-07, "image_data_format": "channels_last"}', OK),
        ('{"backend": "jax", "floatx": "float16"}', STOP),
        ("[]", OK),  # Keras ignores what it cannot read
        ("{", OK),
    ):
        settings.write_text(text, encoding="utf-8")
        assert doctor.examine_keras_settings().status == status, text
    settings.write_text('{"backend": "jax", "floatx": "float16"}', encoding="utf-8")
    assert doctor.examine_keras_settings().value == "backend jax, floatx float16"
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert doctor.examine_keras_settings().value == "backend torch, floatx float16"
    assert "unset KERAS_BACKEND" in doctor.examine_keras_settings().advice


def test_artifacts(tmp_path, monkeypatch):
    assert doctor.existing_folder(tmp_path / "not" / "there") == tmp_path
    assert doctor.examine_artifacts(tmp_path, writable=True).status == OK
    assert doctor.examine_artifacts(tmp_path, writable=False).status == STOP
    (tmp_path / "training.json").touch()
    assert doctor.examine_artifacts(tmp_path, writable=True).status == NOTE
    monkeypatch.setenv("DIGITS_ARTIFACTS_DIR", str(tmp_path / "mine"))
    assert doctor.artifacts_folder() == tmp_path / "mine"
    monkeypatch.delenv("DIGITS_ARTIFACTS_DIR")
    assert doctor.artifacts_folder(tmp_path) == tmp_path / "artifacts"


# --- What follows ---

ALL_WELL = [Finding("Packages", name, "") for name in doctor.SHOWING] + [Finding("Data", "MNIST", "")]


def follows(machine, findings=ALL_WELL):
    return {finding.name: finding.value for finding in doctor.consequences(machine, findings)}


def test_on_a_machine_like_the_one_that_stored_the_numbers():
    told = follows(machine())
    assert list(told) == ["exact", "close", "trained", "never"]
    assert told["exact"].endswith("equal to the letter and to the pixel.")
    assert "equal or nearly so" in told["trained"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"settings": {"ONEDNN_MAX_CPU_ISA": "AVX2"}}, "with oneDNN with AVX2 instead of oneDNN with AVX-512:"),
        ({"processors": 1}, "with 1 thread instead of 2:"),
        ({"processors": 8}, "with 8 threads instead of 2:"),
        (
            {"system": "Darwin", "architecture": "arm64", "processors": 8},
            "with TensorFlow without oneDNN instead of oneDNN with AVX-512 and 8 threads instead of 2:",
        ),
    ],
)
def test_on_another_machine_training_ends_elsewhere(changes, words):
    told = follows(machine(**changes))["trained"]
    assert words in told
    assert "not equal" in told


def test_other_versions_may_draw_differently():
    findings = [replace(finding, status=NOTE) if finding.name == "matplotlib" else finding for finding in ALL_WELL]
    assert "Not quite here: other versions of matplotlib may" in follows(machine(), findings)["exact"]


def test_without_mnist_every_output_of_the_images_differs():
    findings = [replace(finding, status=NOTE) if finding.name == "MNIST" else finding for finding in ALL_WELL]
    told = follows(machine(), findings)
    assert list(told)[0] == "without MNIST"
    assert "own network" not in told


def test_an_own_network_has_its_own_numbers():
    told = follows(machine(), [*ALL_WELL, Finding("Data", "own network", "", NOTE)])
    assert 'network = "shipped"' in told["own network"]


# --- All of it ---


def test_text_is_aligned_and_says_what_stops():
    long = Finding("Data", "MNIST", "not usable", STOP, "Put it " + "there and there " * 10 + "into /a-folder-with-hyphens.")
    text = doctor.as_text([Finding("Packages", "keras", "3.15.1"), Finding("Packages", "x", "y", NOTE), long], width=80)
    lines = text.splitlines()
    assert lines[:5] == ["Packages", "    keras  3.15.1", "  ? x      y", "", "Data"]
    assert lines[5] == "  ! MNIST  not usable"
    assert lines[6].startswith("           → Put it there")
    assert all(line.startswith(" " * 11) for line in lines[6:-2])
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "1 of these, marked !, must be put right first."
    assert doctor.as_text([Finding("Data", "a", "b", NOTE)]).endswith("\n\nNothing here stops the lessons.")


def test_a_package_that_cannot_be_imported_is_a_finding(nowhere, monkeypatch):
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    monkeypatch.setitem(sys.modules, "numpy", None)
    monkeypatch.delitem(sys.modules, "digits_helpers.data")
    monkeypatch.setattr(doctor, "examine_notebooks", lambda: (_ for _ in ()).throw(PermissionError(13, "Denied")))
    findings = by_name(doctor.diagnose())
    assert findings["packaging.requirements"].status == STOP
    assert findings["numpy"].status == STOP
    assert findings["examination"].value == "not finished ([Errno 13] Denied)"
    assert "trained" in findings


def test_the_command_stops_only_for_what_stops_the_lessons(nowhere, monkeypatch):
    result = CliRunner().invoke(cli.main, ["doctor"])
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    assert result.stdout.splitlines()[-1] == "Nothing here stops the lessons."
    assert "  ? MNIST" in result.stdout

    monkeypatch.setenv("DIGITS_DATA_DIR", str(nowhere / "none"))
    result = CliRunner().invoke(cli.main, ["doctor"])
    assert result.exit_code == 1
    assert "  ! MNIST" in result.stdout

    result = CliRunner().invoke(cli.main, ["doctor", "--json"])
    content = json.loads(result.stdout)
    assert (result.exit_code, content["ready"]) == (1, False)
    assert [finding["name"] for finding in content["findings"] if finding["status"] == "stop"] == ["MNIST"]


def test_the_command_imports_neither_tensorflow_nor_keras():
    code = "import sys; from digits_helpers import doctor; doctor.diagnose(); print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "matplotlib", "sklearn"} & set(done.stdout.split())
    assert done.stderr == ""
