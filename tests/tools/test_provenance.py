"""What a report was made with: packages, machine, commit."""

import os
import shutil
import subprocess
from importlib import metadata

import pytest

from digits_helpers import doctor, provenance
from digits_helpers.provenance import git_facts, machine_facts, package_versions

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def test_versions_are_those_that_are_installed():
    versions = package_versions()
    assert set(versions) == {"python", *provenance.PACKAGES}
    assert versions["numpy"] == metadata.version("numpy")
    assert versions["tensorflow"] and versions["digits-helpers"]


def test_a_package_that_is_missing_has_no_version(monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "no-such-package"))
    assert package_versions()["no-such-package"] is None


def machine(architecture="x86_64", features="sse4_1 avx avx2 avx512_vnni", processors=4, system="Linux", **settings):
    return doctor.Machine(
        system, architecture, "Some CPU", frozenset(features.split()) or None, processors, 8e9, settings
    )


@pytest.mark.parametrize(
    ("found", "sets", "threads"),
    [
        (machine(), ["SSE4.1", "AVX", "AVX2"], 4),
        (machine(features="sse4_1", TF_NUM_INTRAOP_THREADS="2"), ["SSE4.1"], 2),
        (machine("arm64", "neon", system="Darwin"), ["NEON"], 4),
        (machine(features=""), [], 4),
    ],
)
def test_the_machine_is_described_by_what_decides_numbers(monkeypatch, found, sets, threads):
    monkeypatch.setattr(doctor, "probe_machine", lambda: found)
    facts = machine_facts()
    assert (facts["instruction_sets"], facts["threads"]) == (sets, threads)
    assert (facts["processor"], facts["memory"], facts["settings"]) == ("Some CPU", 8e9, found.settings)
    assert facts["method"] == doctor.method(found)
    assert facts["logical_processors"] == os.cpu_count()


def test_nothing_names_the_machine():
    import getpass
    import platform

    words = " ".join(map(str, machine_facts().values())).split()
    assert platform.node() not in words
    assert getpass.getuser() not in words


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
    (folder / "digits_helpers").mkdir(parents=True)
    (folder / "digits_helpers" / "__init__.py").write_text("", encoding="utf-8")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


@needs_git
def test_the_commit_and_whether_files_were_changed_since(repository):
    commit = git(repository, "rev-parse", "HEAD")
    assert len(commit) == 40
    assert git_facts(repository) == {"commit": commit, "dirty": False}
    (repository / "digits_helpers" / "__init__.py").write_text("changed = True\n", encoding="utf-8")
    assert git_facts(repository) == {"commit": commit, "dirty": True}


@needs_git
def test_the_environment_cannot_name_another_repository(repository, tmp_path, monkeypatch):
    # in a git hook, GIT_DIR names the repository of the hook
    commit = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert git_facts(repository) == {"commit": commit, "dirty": False}


@needs_git
def test_a_repository_above_the_installed_package_is_not_its_own(repository):
    below = repository / "venv" / "site-packages"
    (below / "digits_helpers").mkdir(parents=True)
    (below / "digits_helpers" / "__init__.py").write_text("", encoding="utf-8")
    assert git_facts(below) is None


@needs_git
def test_no_repository_or_no_commit(tmp_path):
    assert git_facts(tmp_path / "nowhere") is None
    (tmp_path / "digits_helpers").mkdir()
    (tmp_path / "digits_helpers" / "__init__.py").write_text("", encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    assert git_facts(tmp_path) is None
    git(tmp_path, "add", "--all")
    assert git_facts(tmp_path) is None


def test_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_facts(tmp_path) is None


def test_a_git_that_does_not_answer(tmp_path, monkeypatch):
    def wait(*command, timeout, **options):
        raise subprocess.TimeoutExpired("git", timeout)

    monkeypatch.setattr(provenance.subprocess, "run", wait)
    assert git_facts(tmp_path) is None
