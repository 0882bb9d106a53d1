"""What runs on GitHub for those who adopt the project: pinned, with few rights, and in step with make."""

import os
import re
import shlex
import shutil
import subprocess
import tomllib

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from digits_helpers._mnist_files import DIGESTS
from digits_tools.cli import main
from digits_tools.lessons import PROJECT

MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")
FILES = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in FILES}
WORKFLOWS = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
JOBS = {f"{name}/{job}": content for name, workflow in WORKFLOWS.items() for job, content in workflow["jobs"].items()}

each_workflow = pytest.mark.parametrize("name", WORKFLOWS)
each_job = pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)


def steps_using(action):
    return [step for job in JOBS.values() for step in job["steps"] if step.get("uses", "").startswith(f"{action}@")]


def make_calls(name):
    """The words after `make` in each step of a workflow that calls it."""
    commands = [step.get("run", "") for job in WORKFLOWS[name]["jobs"].values() for step in job["steps"]]
    return [shlex.split(line)[1:] for command in commands for line in command.splitlines() if line.startswith("make ")]


@each_workflow
def test_actions_are_pinned_by_commit_with_their_version(name):
    used = [step["uses"] for job in WORKFLOWS[name]["jobs"].values() for step in job["steps"] if "uses" in step]
    pinned = re.findall(r"uses: (\S+@[0-9a-f]{40})  # v\d+\.\d+\.\d+$", TEXTS[name], re.M)
    assert used and pinned == used


def test_an_action_has_one_commit_and_one_version_everywhere():
    pins = {pin for text in TEXTS.values() for pin in re.findall(r"uses: (\S+)@(\S+)  # (\S+)", text)}
    assert len({action for action, _, _ in pins}) == len(pins), pins


@each_workflow
def test_a_workflow_may_read_and_nothing_else(name):
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}


def test_only_publishing_may_write():
    raised = {name: job["permissions"] for name, job in JOBS.items() if "permissions" in job}
    assert raised == {"strict/publish": {"pages": "write", "id-token": "write"}}
    assert JOBS["strict/publish"]["if"] == "github.ref == 'refs/heads/main'"


def test_no_token_stays_behind_after_a_checkout():
    checkouts = steps_using("actions/checkout")
    assert len(checkouts) == len(WORKFLOWS)
    assert all(step["with"] == {"persist-credentials": False} for step in checkouts)


@each_job
def test_a_job_ends(job):
    assert 0 < job["timeout-minutes"] <= 150


def test_every_system_and_every_python_that_is_allowed_is_checked():
    facts = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    allowed = SpecifierSet(facts["requires-python"])
    job = JOBS["check/check"]
    assert job["strategy"]["matrix"] == {
        "system": ["ubuntu", "macos", "windows"],
        "python": [f"3.{minor}" for minor in range(8, 20) if allowed.contains(f"3.{minor}.1")],
    }
    assert job["strategy"]["fail-fast"] is False
    assert job["env"] == {"DIGITS_OFFLINE": "1"}
    versions = [step["with"]["python-version"] for step in steps_using("actions/setup-python")]
    assert versions[0] == "${{ matrix.python }}"
    assert all(allowed.contains(f"{version}.1") for version in versions[1:])


def test_packages_are_cached_as_long_as_the_lock_stays():
    options = [step["with"] for step in steps_using("actions/setup-python")]
    assert {(given["cache"], given["cache-dependency-path"]) for given in options} == {("pip", "requirements.txt")}


def test_the_kept_mnist_is_the_one_that_the_project_accepts():
    (cache,) = steps_using("actions/cache")
    assert cache["with"] == {"path": "~/.keras/datasets", "key": f"mnist-{DIGESTS['train_images'][:16]}"}


@pytest.mark.parametrize(
    ("name", "targets"), [("check", ["quick", "test"]), ("strict", ["venv", "test", "test-all", "report"])]
)
def test_steps_call_the_targets_that_a_user_types(name, targets):
    calls = make_calls(name)
    assert [call[0] for call in calls] == targets
    existing = re.findall(r"^([a-z-]+):", MAKEFILE, re.M)
    assert set(targets) <= set(existing)


def test_the_report_is_asked_for_with_options_that_exist():
    (arguments,) = [call[1] for call in make_calls("strict") if call[0] == "report"]
    options = shlex.split(arguments.removeprefix("ARGS="))
    command = main.commands["report"]
    context = command.make_context("report", options)  # raises where an option is unknown
    assert context.params["dataset"] == "mnist"
    assert context.params["check"].suffix == ".json"


# --- make on the system of a runner ---


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize(
    ("system", "python", "run"),
    [("Windows_NT", "python", ".venv/Scripts/python.exe"), ("", "python3", ".venv/bin/python")],
    ids=["windows", "elsewhere"],
)
def test_make_finds_python_where_the_system_has_it(system, python, run):
    ours = ("MAKE", "MFLAGS", "PYTHON", "ARGS")  # of the make that runs these tests
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = ["make", "-n", "--no-print-directory", f"OS={system}", "quick"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines()[-1].strip() == f"{run} -m pytest -m 'not slow and not weekly'"
    assert f"|| {python} -m venv --clear .venv" in done.stdout


def test_line_ends_stay_as_the_shell_needs_them():
    assert "* text=auto eol=lf\n" in (PROJECT / ".gitattributes").read_text(encoding="utf-8")
    for name in ("Makefile", ".ci/run"):
        assert b"\r" not in (PROJECT / name).read_bytes(), name
