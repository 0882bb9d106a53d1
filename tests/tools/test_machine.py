"""What computes here: packages, machine, commit."""

import os
import platform
import shutil
import subprocess
from importlib import metadata

import pytest

from digits_tools import machine
from digits_tools.machine import (
    Machine,
    git_facts,
    machine_facts,
    package_versions,
    parse_cpuinfo,
)

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
AVX512 = "sse4_1 avx avx2 avx512f avx512bw avx512dq avx512vl"


def test_versions_are_those_that_are_installed():
    versions = package_versions()
    assert versions["python"] == platform.python_version()
    assert versions["numpy"] == metadata.version("numpy")
    assert versions["tensorflow"] and versions["digits-helpers"]
    assert package_versions(("numpy", "no-such-package"))["no-such-package"] is None


def some(architecture="x86_64", features="sse4_1 avx avx2 avx512_vnni", system="Linux", **settings):
    return Machine(system, architecture, "Some CPU", frozenset(features.split()) or None, 4, 8_000_000_000, settings)


@pytest.mark.parametrize(
    ("found", "sets", "threads", "method"),
    [
        (some(), ["SSE4.1", "AVX", "AVX2"], 4, "oneDNN with AVX2"),
        (some(features=f"{AVX512} amx_tile"), list(machine.INSTRUCTIONS), 4, "oneDNN with AVX-512"),
        (some(features=AVX512), list(machine.INSTRUCTIONS), 4, "TensorFlow without oneDNN"),
        (some(features=AVX512, TF_ENABLE_ONEDNN_OPTS="1"), list(machine.INSTRUCTIONS), 4, "oneDNN with AVX-512"),
        (some(TF_ENABLE_ONEDNN_OPTS="0"), ["SSE4.1", "AVX", "AVX2"], 4, "TensorFlow without oneDNN"),
        (some(ONEDNN_MAX_CPU_ISA="AVX"), ["SSE4.1", "AVX", "AVX2"], 4, "oneDNN with AVX"),
        (some(ONEDNN_MAX_CPU_ISA="AVX512_CORE"), ["SSE4.1", "AVX", "AVX2"], 4, "oneDNN with AVX2"),
        (some(features="sse4_1", TF_NUM_INTRAOP_THREADS="2"), ["SSE4.1"], 2, "TensorFlow without oneDNN"),
        (some("arm64", "neon", system="Darwin"), ["NEON"], 4, "TensorFlow without oneDNN"),
        (some("aarch64", "neon"), ["NEON"], 4, "code for aarch64"),
        (some(features=""), [], 4, "unknown instructions"),
        (some("AMD64", "", system="Windows"), [], 4, "TensorFlow without oneDNN"),
    ],
)
def test_the_machine_is_described_by_what_decides_numbers(monkeypatch, found, sets, threads, method):
    monkeypatch.setattr(machine, "this_machine", lambda: found)
    facts = machine_facts()
    assert (facts["instruction_sets"], facts["threads"], facts["method"]) == (sets, threads, method)
    assert (facts["processor"], facts["memory"], facts["settings"]) == ("Some CPU", 8e9, found.settings)


def test_processors_as_linux_describes_them():
    x86 = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu avx avx2\n\nprocessor\t: 1\n"
    assert parse_cpuinfo(x86) == ("Some CPU @ 2 GHz", frozenset({"fpu", "avx", "avx2"}))
    assert parse_cpuinfo("Features\t: fp asimd\n") == ("", frozenset({"fp", "asimd"}))
    assert parse_cpuinfo("") == ("", None)


# --- Commit ---


def git(folder, *arguments):
    names = ("-c", "user.name=reader", "-c", "user.email=reader@example.org", "-c", "commit.gpgsign=false")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *names, *arguments]
    done = subprocess.run(command, capture_output=True, check=True, encoding="utf-8", env=environment)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """A repository that holds the package, in a folder with a blank and an umlaut."""
    folder = tmp_path / "my übung"
    (folder / "digits_tools").mkdir(parents=True)
    (folder / "digits_tools" / "__init__.py").write_text("", encoding="utf-8")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


@needs_git
def test_the_commit_and_whether_files_were_changed_since(repository, monkeypatch):
    commit = git(repository, "rev-parse", "HEAD")
    assert len(commit) == 40
    monkeypatch.setenv("GIT_DIR", str(repository / "elsewhere"))  # as in a git hook
    assert git_facts(repository) == {"commit": commit, "dirty": False}
    (repository / "digits_tools" / "__init__.py").write_text("changed = True\n", encoding="utf-8")
    assert git_facts(repository) == {"commit": commit, "dirty": True}
    below = repository / "venv" / "site-packages"  # an installed package: the repository above is not its own
    below.mkdir(parents=True)
    assert git_facts(below) is None


@needs_git
def test_no_repository_or_no_commit(tmp_path):
    assert git_facts(tmp_path / "nowhere") is None
    git(tmp_path, "init", "--quiet")
    assert git_facts(tmp_path) is None


def test_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_facts(tmp_path) is None
