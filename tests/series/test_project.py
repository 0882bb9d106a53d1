"""The files of the project agree with each other."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from digits_tools.lessons import LESSONS, NOTEBOOKS, PROJECT
from digits_tools.maintain.navigation import README, TABLE_END, TABLE_START, lesson_table, update_navigation
from digits_tools.notebook import has_tag, read_notebook

LOCK = (PROJECT / "requirements.txt").read_text(encoding="utf-8")
FACTS = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = ("3.11", "3.12", "3.13")


def direct_dependencies():
    extras = FACTS["optional-dependencies"].values()
    texts = [*FACTS["dependencies"], *(text for extra in extras for text in extra)]
    return [Requirement(text) for text in texts if not text.startswith(FACTS["name"])]


def locked():
    """Name to a list of (version, marker or None), as the lock has them."""
    pins: dict[str, list[tuple[str, Marker | None]]] = {}
    for line in LOCK.splitlines():
        if line and not line.startswith((" ", "#", "-e ")):
            requirement = Requirement(line)
            (pin,) = requirement.specifier
            assert pin.operator == "==", line
            pins.setdefault(canonicalize_name(requirement.name), []).append((pin.version, requirement.marker))
    return pins


def version_for(name, python, system):
    """The version that the lock gives a package on a Python and a system."""
    environment = {"python_version": python, "python_full_version": f"{python}.1", "sys_platform": system}
    environment["platform_system"] = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system]
    environment["platform_machine"] = "arm64" if system == "darwin" else "x86_64"
    environment["implementation_name"] = "cpython"
    fitting = [version for version, marker in locked().get(name, []) if marker is None or marker.evaluate(environment)]
    assert len(fitting) <= 1, (name, fitting)
    return fitting[0] if fitting else None


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_every_direct_dependency_is_locked_within_its_bounds(python, system):
    for requirement in direct_dependencies():
        version = version_for(canonicalize_name(requirement.name), python, system)
        assert version is not None, f"{requirement.name} is not in requirements.txt: run make lock"
        assert requirement.specifier.contains(version), f"{requirement} is locked as {version}: run make lock"


def test_the_lock_is_generated_by_a_command_that_it_names():
    header = LOCK[: LOCK.index("\nabsl-py")]
    command = "uv pip compile --universal --python-version 3.11 requirements.in -o requirements.txt"
    assert command in header
    assert command in (PROJECT / "Makefile").read_text(encoding="utf-8")


def test_the_lock_has_no_address_in_it():
    assert "://" not in LOCK
    assert not re.search(r"^--?(index|extra-index|find-links|i\b|f\b)", LOCK, re.M)


def test_the_lock_installs_this_package():
    assert re.search(r"^-e \.", LOCK, re.M)
    assert re.search(r"^-e \.\[test\]$", (PROJECT / "requirements.in").read_text(encoding="utf-8"), re.M)


def test_tensorflow_is_itself():
    assert "tensorflow" in locked()
    assert not [name for name in locked() if re.fullmatch(r"tensorflow-(cpu|gpu|macos|intel|rocm).*", name)]


def test_conda_uses_the_same_lock_and_a_python_that_fits():
    text = (PROJECT / "environment.yml").read_text(encoding="utf-8")
    (python,) = re.findall(r"^  - python=([\d.]+)$", text, re.M)
    assert SpecifierSet(FACTS["requires-python"]).contains(f"{python}.1")
    assert re.search(r"^  - pip$", text, re.M)
    assert re.findall(r"^      - (.+)$", text, re.M) == ["-r requirements.txt"]


def test_the_pythons_that_are_promised_are_the_ones_that_are_allowed():
    allowed = SpecifierSet(FACTS["requires-python"])
    fitting = [f"3.{minor}" for minor in range(8, 20) if allowed.contains(f"3.{minor}.1")]
    assert fitting == list(PYTHONS)
    for name in ("Makefile", ".ci/run"):
        text = (PROJECT / name).read_text(encoding="utf-8")
        bounds = [f"({python.replace('.', ', ')})" for python in (PYTHONS[0], PYTHONS[-1])]
        assert f"{bounds[0]} <= sys.version_info[:2] <= {bounds[1]}" in text, name


def test_each_direct_dependency_says_what_it_is_for():
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    for requirement in direct_dependencies():
        assert re.search(rf'^  "{re.escape(requirement.name)}[^"]*",\s+# \w+', text, re.M), requirement.name


def test_data_files_are_installed_with_their_package():
    data = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    for room, patterns in data.items():
        for pattern in patterns:
            assert list((PROJECT / room).glob(pattern)), f"{room}: nothing fits {pattern}"
        covered = {path for pattern in patterns for path in (PROJECT / room).glob(pattern)}
        files = [path for path in (PROJECT / room).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        assert {path for path in files if path.suffix != ".py"} <= covered


def test_the_base_needs_neither_the_engine_nor_the_check():
    base = {Requirement(text).name for text in FACTS["dependencies"]}
    assert not base & {"papermill", "nbval", "pytest", "nbconvert", "distributed", "click"}


def test_readme_and_navigation_follow_the_list_of_lessons():
    assert update_navigation(check=True) == []  # if this fails: run digits navigation


def test_readme_has_the_heading_that_the_navigation_links_to():
    text = README.read_text(encoding="utf-8")
    assert re.search(r"^## Lessons$", text, re.M)
    assert f"{TABLE_START}\n{lesson_table()}\n{TABLE_END}" in text


def test_the_notebooks_are_the_lessons():
    assert sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")) == [lesson.notebook for lesson in LESSONS]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.number)
def test_a_stored_notebook_has_what_the_commands_rely_on(lesson):
    notebook = read_notebook(NOTEBOOKS / lesson.notebook)
    ids = [cell.id for cell in notebook.cells]  # nbformat 4.5: ids that stay
    assert len(set(ids)) == len(ids)
    assert sum(has_tag(cell, "parameters") for cell in notebook.cells) == 1
    headings = [cell.source.splitlines()[0] for cell in notebook.cells if cell.source.startswith("# ")]
    assert any(lesson.title.lower() in heading.lower() for heading in headings if heading)


# --- make ---

unix = pytest.mark.skipif(
    sys.platform == "win32" or not shutil.which("make"), reason="needs make and a POSIX shell outside Windows"
)

FAKE_PYTHON = """#!/bin/sh
echo "$@" >> calls
case "$*" in
  *"sys.version_info"*) exit {version_fits};;
  *"import venv, ensurepip"*) exit {has_venv};;
  "--version") echo "Python 3.9.6";;
  "-m venv --clear .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python;;
  "-m pip install "*) exit {pip};;
esac
"""


@pytest.fixture
def clone(tmp_path):
    """A copy of what `make` needs, in a folder with a blank and an umlaut, with a Python that only writes down its calls."""
    folder = tmp_path / "ein Ordner für Ziffern"
    folder.mkdir()
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(PROJECT / name, folder)

    def make(*arguments, version_fits=0, has_venv=0, pip=0):
        python = folder / "fake-python"
        python.write_text(FAKE_PYTHON.format(version_fits=version_fits, has_venv=has_venv, pip=pip), encoding="utf-8")
        python.chmod(python.stat().st_mode | stat.S_IXUSR)
        (folder / "calls").write_text("", encoding="utf-8")
        ours = ("MAKE", "MFLAGS", "ARGS")  # of the make that runs these tests
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        command = ["make", "--no-print-directory", "PYTHON=./fake-python", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
        return done, [
            line for line in (folder / "calls").read_text(encoding="utf-8").splitlines() if "import" not in line
        ]

    make.folder = folder
    return make


INSTALL = "-m pip install --disable-pip-version-check --no-input -r requirements.txt"


@unix
def test_make_sets_up_once_and_again_when_the_lock_has_changed(clone):
    done, calls = clone("report", "ARGS=--dataset embedded")
    assert done.returncode == 0, done.stderr
    assert calls == ["-m venv --clear .venv", INSTALL, "-m digits_tools report --dataset embedded"]
    assert "Setting up .venv" in done.stdout

    done, calls = clone("lab")
    assert calls == ["-m digits_tools lab"]
    assert done.stdout == ""

    for name in ("requirements.txt", "pyproject.toml"):
        with (clone.folder / name).open("a", encoding="utf-8") as file:
            file.write("# changed\n")
        _, calls = clone("test")
        assert calls[0] == INSTALL, name
        assert calls[-1] == "-m pytest -m not weekly", name


@unix
def test_make_takes_up_a_set_up_that_failed(clone):
    done, calls = clone("quick", pip=1)
    assert done.returncode != 0
    assert "check the network and run this again" in done.stderr
    assert calls[-1] == INSTALL
    clone.folder.joinpath(".venv", "bin", "python").unlink()  # a fake that was made to fail
    _, calls = clone("quick")
    assert calls == ["-m venv --clear .venv", INSTALL, "-m pytest -m not slow and not weekly"]


@unix
@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (
            {"version_fits": 1},
            "./fake-python is Python 3.9.6, but the lessons need Python 3.11 to 3.13: install one and name it",
        ),
        ({"has_venv": 1}, "./fake-python lacks its venv module: install it"),
    ],
)
def test_make_says_what_python_lacks(clone, trouble, sentence):
    done, calls = clone("report", **trouble)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert not (clone.folder / ".venv").exists()


@unix
def test_make_clean_removes_only_what_make_made(clone):
    clone("report")
    (clone.folder / "report").mkdir()
    (clone.folder / "report" / "mine.txt").touch()
    clone("clean")
    assert not (clone.folder / ".venv").exists()
    assert (clone.folder / "report" / "mine.txt").exists()
    (clone.folder / "report" / ".digits-report").touch()
    clone("clean")
    assert not (clone.folder / "report").exists()


def test_ci_runs_make_test():
    text = (PROJECT / ".ci" / "run").read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "exec make test " in text
    assert sys.platform == "win32" or os.access(PROJECT / ".ci" / "run", os.X_OK)
