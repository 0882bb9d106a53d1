"""What the doctor finds on this machine, and what it says about machines that it is told of."""

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib import metadata
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from jupyter_client.kernelspec import KernelSpecManager
from tiny_lessons import write_lesson

from digits_tools import cli, doctor
from digits_tools.doctor import NOTE, OK, STOP, Check
from digits_tools.lessons import LESSONS
from digits_tools.machine import OUTPUT_AFFECTING_PACKAGES, Machine

FEATURES = frozenset(["sse4_1", "avx", "avx2", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"])
STORED_ON = Machine("Linux", "x86_64", "AMD EPYC", FEATURES, 2, 16_000_000_000)


def by_name(checks):
    return {check.name: check for check in checks}


# --- Packages and kernel ---

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


@pytest.fixture
def installed(monkeypatch):
    """What is installed, for a test to change."""
    versions = {distribution.name.lower(): distribution.version for distribution in metadata.distributions()}
    monkeypatch.setattr(doctor, "installed_version", versions.get)
    return versions


def test_the_lock_is_read_with_its_markers():
    expected = {"keras": "3.15.1", "scikit-learn": "1.9.1", "numpy": "2.5.5", "pillow": "13.0.0"}
    assert doctor.locked_versions(LOCK) == expected


@pytest.mark.parametrize(
    ("version", "status", "words"),
    [("3.15.1", OK, "as in the lock"), ("3.15.2", NOTE, "lock has 3.15.1"), (None, STOP, "not installed")],
)
def test_versions_are_compared_with_the_lock(tmp_path, installed, version, status, words):
    (tmp_path / "requirements.txt").write_text("keras==3.15.1\n", encoding="utf-8")
    installed["keras"] = version
    check = by_name(doctor.check_packages(tmp_path))["keras"]
    assert check.status == status
    assert words in check.value
    assert ("pip install -r requirements.txt" in check.advice) == (status != OK)


def test_packages_that_show_in_no_output_are_counted(tmp_path, installed):
    pins = "".join(f"package-{number}==1.0\n" for number in range(8))
    (tmp_path / "requirements.txt").write_text(pins, encoding="utf-8")
    installed.update({f"package-{number}": "1.0" for number in range(8)})
    assert by_name(doctor.check_packages(tmp_path))["others"].value == "all 8 as in the lock"
    assert by_name(doctor.check_packages(tmp_path / "without"))["lock"].status == NOTE
    installed.update({"package-1": "2.0", "package-7": None, "pooch": None})  # lessons need the last
    assert by_name(doctor.check_packages(tmp_path))["pooch"].status == STOP
    check = by_name(doctor.check_packages(tmp_path))["others"]
    assert check.status == NOTE
    assert "2 of 8" in check.value
    assert "package-1, package-7" in check.value


@pytest.mark.parametrize(
    ("python", "status"),
    [(sys.executable, OK), ("python", OK), ("/nowhere/bin/python", STOP), (__file__, STOP), (None, STOP)],
)
def test_the_kernel_of_this_python_is_looked_for(monkeypatch, python, status):
    from jupyter_client.kernelspec import NoSuchKernel

    def get_kernel_spec(self, name):
        if python is None:
            raise NoSuchKernel(name)
        return SimpleNamespace(argv=[python, "-m", "ipykernel_launcher"])

    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", get_kernel_spec)
    (check,) = doctor.check_kernel()
    assert check.status == status
    assert bool(check.advice) == (status != OK)


@pytest.mark.parametrize("linked", [False, True])
def test_the_kernel_of_another_python_is_a_note(monkeypatch, tmp_path, linked):
    other = tmp_path / "python.exe"
    if linked:  # as the base Python of a virtual environment, to which this one is a link
        other.symlink_to(os.path.realpath(sys.executable))
    else:
        other.touch(mode=0o755)
    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", lambda self, name: SimpleNamespace(argv=[str(other)]))
    assert doctor.check_kernel()[0].status == NOTE


# --- Machine ---


def test_a_good_machine_needs_no_advice():
    checks = doctor.check_machine(STORED_ON, 100e9)
    assert {check.status for check in checks} == {OK}
    values = {check.name: check.value for check in checks}
    assert values["processor"] == "AMD EPYC, 2 usable"
    assert values["memory"] == "16.0 GB"
    assert values["computed by"] == "oneDNN with AVX-512, 2 threads"


@pytest.mark.parametrize(
    ("changes", "disk", "name", "status"),
    [
        ({"features": frozenset({"fpu", "sse4_1"})}, 1e9, "instructions", STOP),
        ({}, 0.1e9, "free disk", STOP),
        ({"memory": 2_000_000_000}, 1e9, "memory", NOTE),
        ({"settings": {"ONEDNN_DEFAULT_FPMATH_MODE": "BF16"}}, 1e9, "ONEDNN_DEFAULT_FPMATH_MODE", NOTE),
    ],
)
def test_a_machine_that_lacks_something_gets_advice(changes, disk, name, status):
    checks = [check for check in doctor.check_machine(replace(STORED_ON, **changes), disk) if check.status != OK]
    assert [(check.name, check.status) for check in checks] == [(name, status)]
    assert checks[0].advice.endswith(".")


@pytest.mark.parametrize("architecture", ["mips", "x86_64", "arm64"])
def test_what_is_unknown_stops_nobody(architecture):
    assert doctor.stops(doctor.check_machine(Machine("Plan9", architecture), 1e9)) == 0


# --- Data ---


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No MNIST on this machine, and no setting that changes what the doctor says."""
    for name in ("DIGITS_DATA_DIR", "DIGITS_OFFLINE", "DIGITS_NETWORKS_DIR", "KERAS_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "download", "status", "in_value", "in_advice"),
    [
        ({}, False, NOTE, "Keras's cache", "digits doctor --download"),
        ({"DIGITS_OFFLINE": "1"}, True, STOP, "Keras's cache", "DIGITS_OFFLINE"),  # the reader's own setting forbids it
        ({"DIGITS_DATA_DIR": "nowhere"}, False, STOP, "DIGITS_DATA_DIR, nowhere", "DIGITS_DATA_DIR"),
    ],
)
def test_missing_mnist_is_a_note_unless_it_was_asked_for(
    nowhere, monkeypatch, settings, download, status, in_value, in_advice
):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    check = doctor.check_mnist(download)
    assert check.status == status
    assert in_value in check.value and in_advice in check.advice
    assert not (nowhere / "keras").exists()


def test_a_damaged_file_in_the_cache_is_named(nowhere):
    (nowhere / "keras" / "datasets").mkdir(parents=True)
    (nowhere / "keras" / "datasets" / "mnist.npz").write_bytes(b"PK damaged")
    check = doctor.check_mnist()
    assert (check.status, "mnist.npz is damaged" in check.value) == (NOTE, True)


def test_mnist_is_found_by_its_digests(mnist):
    check = doctor.check_mnist()
    assert (check.status, check.value) == (OK, f"its digests match; found in {mnist.source}")


@pytest.fixture
def network(tmp_path):
    """A folder with something that is whole, as far as the doctor looks."""
    with zipfile.ZipFile(tmp_path / "reference.keras", "w") as archive:
        archive.writestr("config.json", "{}" * 1000)
    (tmp_path / "reference.json").write_text(json.dumps({"weights_sha256": "ab" * 32}), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", ["reference.keras", "reference.json"])
def test_a_missing_or_damaged_network_stops(network, monkeypatch, name):
    assert doctor.check_network().status == OK  # the shipped one
    monkeypatch.setenv("DIGITS_NETWORKS_DIR", str(network))
    assert doctor.check_network().status == OK
    whole = (network / name).read_bytes()
    flipped = [whole[:200] + bytes([whole[200] ^ 1]) + whole[201:]] if name.endswith("keras") else []
    for damaged in (b"", b"no network", whole[:-40], *flipped):
        (network / name).write_bytes(damaged)
        assert "damaged" in doctor.check_network().value
    (network / name).unlink()
    assert doctor.check_network().value == f"{name} is missing"
    assert doctor.check_network().status == STOP


def test_notebooks_that_are_missing_or_damaged_are_named(tmp_path, monkeypatch):
    for lesson in LESSONS:
        write_lesson(tmp_path, lesson.number, "1")
    assert doctor.check_notebooks(tmp_path).status == OK
    with monkeypatch.context() as patch:
        patch.setattr(doctor.os, "access", lambda path, mode: False)  # the folder cannot be written
        assert doctor.check_notebooks(tmp_path).status == STOP
    (tmp_path / LESSONS[0].notebook).unlink()
    (tmp_path / LESSONS[2].notebook).write_text('{"cells": [', encoding="utf-8")
    check = doctor.check_notebooks(tmp_path)
    assert check.status == STOP
    assert check.value.endswith(f"{LESSONS[0].notebook}, {LESSONS[2].notebook}")


def test_other_settings_of_keras_stop(nowhere, monkeypatch):
    assert doctor.check_keras_settings().status == OK
    (nowhere / "keras").mkdir()
    settings = nowhere / "keras" / "keras.json"
    for text, status in (
        ('{"floatx": "float32", "backend": "tensorflow", "epsilon": 1e-07, "image_data_format": "channels_last"}', OK),
        ("[]", OK),  # Keras ignores what it cannot read
        ("{", OK),
        ('{"backend": "jax", "floatx": "float16"}', STOP),
    ):
        settings.write_text(text, encoding="utf-8")
        assert doctor.check_keras_settings().status == status, text
    assert doctor.check_keras_settings().value == "backend jax, floatx float16"
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert doctor.check_keras_settings().value == "backend torch, floatx float16"


# --- What follows ---

ALL_WELL = [Check("Packages", name, "") for name in OUTPUT_AFFECTING_PACKAGES] + [Check("Data", "MNIST", "")]


def follows(machine, checks=ALL_WELL):
    return {check.name: check.value for check in doctor.what_follows(machine, checks)}


def test_on_a_machine_like_the_one_that_stored_the_numbers():
    found = follows(STORED_ON)
    assert list(found) == ["exact", "close", "trained", "never"]
    assert found["exact"].endswith("equal to the letter and to the pixel.")
    assert "equal or nearly so" in found["trained"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"settings": {"ONEDNN_MAX_CPU_ISA": "AVX2"}}, "oneDNN with AVX2 on 2 threads"),
        ({"processors": 1}, "on 1 thread:"),
        ({"system": "Darwin", "architecture": "arm64", "processors": 8}, "without oneDNN on 8 threads"),
    ],
)
def test_on_another_machine_training_ends_elsewhere(changes, words):
    found = follows(replace(STORED_ON, **changes))["trained"]
    assert words in found
    assert "not equal" in found


def test_other_versions_may_draw_differently_and_without_mnist_everything_differs():
    other = {name: [replace(one, status=NOTE) if one.name == name else one for one in ALL_WELL]
             for name in ("matplotlib", "MNIST")}  # fmt: skip
    assert "versions of matplotlib" in follows(STORED_ON, other["matplotlib"])["exact"]
    assert list(follows(STORED_ON, other["MNIST"]))[0] == "without MNIST"


# --- All of it ---


def test_text_is_aligned_and_names_what_stops():
    long = Check(
        "Data", "MNIST", "not found", STOP, "Put it " + "there and there " * 10 + "into /a-folder-with-hyphens."
    )
    text = doctor.as_text([Check("Packages", "keras", "3.15.1"), Check("Packages", "x", "y", NOTE), long], width=80)
    lines = text.splitlines()
    assert lines[:6] == ["Packages", "    keras  3.15.1", "  ? x      y", "", "Data", "  ! MNIST  not found"]
    assert lines[6].startswith("           → Put it there")
    assert all(line.startswith(" " * 11) for line in lines[6:-2])
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith("1 of these")
    assert "Nothing here stops" in doctor.as_text([Check("Data", "a", "b", NOTE)])


def test_a_check_that_cannot_be_made_is_a_finding(nowhere, monkeypatch):
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)

    def fail(*_):
        raise PermissionError(13, "Denied")

    monkeypatch.setattr(doctor, "check_notebooks", fail)
    checks = doctor.examine()
    assert by_name(checks)["packaging.requirements"].status == STOP
    assert "Denied" in by_name(checks)["not finished"].value
    assert "trained" in by_name(checks)


def test_the_command_stops_only_for_what_stops_the_lessons(nowhere, network, monkeypatch):
    monkeypatch.setenv("DIGITS_NETWORKS_DIR", str(network))
    before = sorted(nowhere.rglob("*"))
    result = CliRunner().invoke(cli.main, ["doctor"])
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    assert "  ? MNIST" in result.stdout

    monkeypatch.setenv("DIGITS_DATA_DIR", str(nowhere / "none"))
    result = CliRunner().invoke(cli.main, ["doctor", "--json"])
    content = json.loads(result.stdout)
    assert (result.exit_code, content["ready"]) == (1, False)
    assert [check["name"] for check in content["checks"] if check["status"] == "stop"] == ["MNIST"]
    assert sorted(nowhere.rglob("*")) == before


def test_the_doctor_imports_neither_tensorflow_nor_keras(nowhere):
    code = "import sys; from digits_tools import doctor; doctor.examine(); print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "matplotlib", "sklearn"} & set(done.stdout.split())
    assert done.stderr == ""
