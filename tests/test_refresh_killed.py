"""A refresh that is killed leaves the stored files as they were: at random moments, and before every write."""

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
from click.testing import CliRunner
from tiny_lessons import write_lesson

from digits_helpers import cli
from digits_helpers.refresh import JOURNAL, recover

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows ends a process at once for either
DEADLINE = 120  # seconds; only a refresh that hangs needs them

# What the command `digits refresh` does, without MNIST and its training.
DRIVER = """
import os, signal, sys, types
from pathlib import Path
signal.signal(signal.SIGTERM, signal.default_int_handler)
sys.modules["digits_helpers.data"] = types.SimpleNamespace(load_digits=lambda dataset: None)
from digits_helpers import refresh, series

def ship(artifacts, destination):
    for name in ("reference.npz", "reference.json"):
        (destination / name).write_bytes(b"new network" * 10_000)

def run(folder, lessons):
    refresh.refresh(series.select_lessons(lessons), folder / "notebooks", folder / "networks", lambda line: None, ship)
"""
# Signals to itself before given operations that write into the stored folders; the lessons are played.
AT_WRITES = """
folder, signals = Path(sys.argv[1]), eval(sys.argv[2])
refresh._run_stored = lambda lesson, *_: f"new {lesson.number}" * 10_000
writes = 0

def before_writing(event, arguments):
    global writes
    writing = event in ("os.rename", "os.remove") or event == "open" and "w" in str(arguments[1])
    if writing and str(arguments[0]).startswith(str(folder)):
        writes += 1
        if writes in signals:
            os.kill(os.getpid(), signals[writes])

sys.addaudithook(before_writing)
run(folder, "03-05")
"""
AT_RANDOM = 'run(Path(sys.argv[1]), "04-05")'


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def make_stored(folder):
    """Write three lessons and an older network, of which one file is new in the next refresh."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number in ("03", "04", "05"):
        write_lesson(folder / "notebooks", number, f"print('lesson {number}')")
    (folder / "networks").mkdir()
    (folder / "networks" / "reference.npz").write_bytes(b"old network" * 10_000)
    return contents(folder)


def start(program, folder, *arguments):
    temporary = folder.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    command = [sys.executable, "-c", DRIVER + program, str(folder), *arguments]
    environment = {**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def assert_whole(found, old, new):
    """Every stored file has all of its old or all of its new bytes; a file that is new may be missing."""
    for name in new:
        assert found.get(name) in (old.get(name), new[name]), f"{name} is neither the old file nor the new one"


@pytest.mark.parametrize(
    "then",
    [
        pytest.param({0: KILL}, id="killed"),
        pytest.param({0: signal.SIGTERM}, id="terminated"),
        pytest.param({0: signal.SIGTERM, 1: KILL}, id="terminated-and-killed-while-it-brings-files-back"),
    ],
)
def test_killed_before_any_write_nothing_has_changed(tmp_path, then):
    folder = tmp_path / "stored"
    old = make_stored(folder)
    assert start(AT_WRITES, folder, "{}").wait(DEADLINE) == 0
    new = contents(folder)
    assert len(new) == len(old) + 1
    assert not set(old.items()) & set(new.items())

    for step in itertools.count(1):
        make_stored(folder)
        signals = {step + later: int(number) for later, number in then.items()}
        if start(AT_WRITES, folder, repr(signals)).wait(DEADLINE) == 0:
            break
        assert_whole(contents(folder), old, new)
        recover(folder / "notebooks", patience=0)  # every command starts with this
        found = {name: content for name, content in contents(folder).items() if not name.endswith(".refresh-new")}
        assert found == old, f"signals {signals}"

    # 5 staged files, the journal staged and renamed, 5 renamed, and the journal's end: 13 writes
    assert step == 14
    assert contents(folder) == new


def test_a_refresh_after_a_kill_leaves_nothing_of_it(tmp_path):
    folder = tmp_path / "stored"
    old = make_stored(folder)
    for step in (4, 10):  # in the middle of staging, and of replacing
        make_stored(folder)
        start(AT_WRITES, folder, repr({step: int(KILL)})).wait(DEADLINE)
        assert [name for name in contents(folder) if name.endswith(".refresh-new")]
        assert (folder / "notebooks" / JOURNAL).exists() == (step == 10)
        assert start(AT_WRITES, folder, "{}").wait(DEADLINE) == 0
        assert set(contents(folder)) == {*old, "networks/reference.json"}


def test_what_somebody_changed_after_a_kill_is_left_alone(tmp_path):
    folder = tmp_path / "stored"
    old = make_stored(folder)
    start(AT_WRITES, folder, repr({13: int(KILL)})).wait(DEADLINE)
    changed = folder / "notebooks" / "03_build_cnn.ipynb"
    assert changed.read_bytes() != old["notebooks/03_build_cnn.ipynb"]
    changed.write_bytes(b"edited by hand")
    assert "03_build_cnn.ipynb" not in recover(folder / "notebooks", patience=0)
    assert changed.read_bytes() == b"edited by hand"
    assert contents(folder)["notebooks/04_train.ipynb"] == old["notebooks/04_train.ipynb"]


def test_a_refresh_that_lives_is_not_disturbed(tmp_path, monkeypatch):
    journal = tmp_path / JOURNAL
    journal.write_text("{}", encoding="utf-8")
    monkeypatch.setattr("digits_helpers.refresh.time.sleep", lambda seconds: journal.unlink())  # it has come to its end
    assert recover(tmp_path) == []
    assert recover(tmp_path) == []


def test_every_command_brings_back_what_a_kill_left(tmp_path, monkeypatch):
    folder = tmp_path / "stored"
    old = make_stored(folder)
    start(AT_WRITES, folder, repr({13: int(KILL)})).wait(DEADLINE)
    brought_back = partial(recover, folder / "notebooks", 0)
    monkeypatch.setattr("digits_helpers.refresh.recover", brought_back)
    monkeypatch.setattr("digits_helpers.navigation.update_navigation", lambda check: [])
    result = CliRunner().invoke(cli.main, ["navigation"])
    assert result.exit_code == 0
    assert result.stderr.splitlines()[0] == "A refresh was killed here: 03_build_cnn.ipynb is as before it again."
    assert contents(folder) == old


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path):
    """Ten refreshes with real kernels; DIGITS_KILL_SEED repeats the moments of an earlier run."""
    seed = int(os.environ.get("DIGITS_KILL_SEED") or random.SystemRandom().randrange(2**31))
    print(f"DIGITS_KILL_SEED={seed}")
    moments = random.Random(seed)
    folder = tmp_path / "stored"
    old = make_stored(folder)
    begun = time.monotonic()
    assert start(AT_RANDOM, folder).wait(DEADLINE) == 0
    duration = time.monotonic() - begun
    new = contents(folder)

    killed = 0
    for number in itertools.islice(itertools.cycle((KILL, signal.SIGTERM)), 20):
        make_stored(folder)
        moment = moments.uniform(0, duration)
        process = start(AT_RANDOM, folder)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        status = process.wait(DEADLINE)
        print(f"signal {int(number)} after {moment:.3f} of {duration:.3f} seconds: exit {status}")
        assert_whole(contents(folder), old, new)
        recover(folder / "notebooks", patience=0)
        found = {name: content for name, content in contents(folder).items() if not name.endswith(".refresh-new")}
        assert found in (old, new)
        killed += status != 0  # the others were faster than the first
        if killed == 10:
            break
    assert killed == 10
