"""Files that are written whole or not at all, and folders that a command may replace."""

import errno

import pytest

from digits_tools import folders
from digits_tools.errors import InputError
from digits_tools.folders import OutputFolder, atomic_write, read_json, write_json

OWNED = ["index.html", "notebooks/01.ipynb", "notebooks/02.ipynb", "artifacts/"]


@pytest.fixture
def folder(tmp_path):
    return OutputFolder(tmp_path / "the übung", "report", OWNED)


def names(folder):
    paths = folder.path.rglob("*")
    return {path.relative_to(folder.path).as_posix() for path in paths if path.is_file()} - {".digits-report"}


def fill(folder, *files):
    for name in files:
        (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.path / name).write_text("old", encoding="utf-8")


# --- Files ---


def test_content_reaches_the_disk_before_the_name(tmp_path, monkeypatch):
    calls = []
    fsync, replace = folders.os.fsync, folders.os.replace
    monkeypatch.setattr(folders.os, "fsync", lambda handle: calls.append("flush") or fsync(handle))
    monkeypatch.setattr(folders.os, "replace", lambda *paths: calls.append("rename") or replace(*paths))
    atomic_write(tmp_path / "übung.txt", "ä\n")
    assert calls == ["flush", "rename"]
    assert (tmp_path / "übung.txt").read_bytes() == "ä\n".encode()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    write_json(path, {"old": 1})

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folders.os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"new": 2})
    assert read_json(path) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "found"), [("{", {}), ("[1]", {}), ('{"a": NaN, "b": -Infinity}', {"a": None, "b": None})]
)
def test_json_that_is_damaged_or_not_finite(tmp_path, content, found):
    (tmp_path / "file.json").write_text(content, encoding="utf-8")
    assert read_json(tmp_path / "file.json") == found
    assert read_json(tmp_path / "none.json") == {}


# --- Folders ---


def test_an_older_run_is_replaced_whatever_state_it_is_in(folder):
    folder.prepare()
    fill(folder, "index.html", ".index.html.tmp", "notebooks/01.ipynb", "notebooks/.02.ipynb.tmp", "artifacts/a/b.npz")
    fill(folder, ".DS_Store", "notebooks/.ipynb_checkpoints/01.ipynb")
    folder.check()
    folder.prepare()
    assert names(folder) == {".DS_Store", "notebooks/.ipynb_checkpoints/01.ipynb"}
    assert (folder.path / "artifacts").is_dir() and (folder.path / "notebooks").is_dir()
    fill(folder, "index.html", "notebooks/01.ipynb", "notebooks/02.ipynb", "artifacts/a", "artifacts/b")
    folder.prepare({"notebooks/01.ipynb", "artifacts/a"})
    others = {".DS_Store", "notebooks/.ipynb_checkpoints/01.ipynb"}
    assert names(folder) - others == {"notebooks/01.ipynb", "artifacts/a"}


@pytest.mark.parametrize(
    ("made", "name"),
    [
        *((False, name) for name in ("notes.txt", "index.html", ".git", "notebooks/01.ipynb", ".digits-sweep")),
        *((True, name) for name in ("notes.txt", "notebooks/my own.ipynb", "deep/er/file", ".git")),
    ],
)
def test_what_no_run_made_is_refused_untouched(folder, made, name):
    fill(folder, name)
    if made:
        folder.prepare()
        fill(folder, "index.html")
    with pytest.raises(InputError, match=f"not part of a report .'{name}'.*another folder with --output"):
        folder.check()
    if made:
        folder.prepare()  # and even then nothing of the user's is deleted
    assert names(folder) == {name}


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "report").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="is a file"):
        OutputFolder(tmp_path / "report", "report", OWNED).check()
    with pytest.raises(InputError, match="cannot be written"):
        OutputFolder(tmp_path / "report" / "below", "report", OWNED).check()


def test_a_folder_that_cannot_be_written(folder, monkeypatch):
    # Tests may run as root, whom no file mode stops: the refusal is a stub
    def refuse(**_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(folders.tempfile, "TemporaryFile", refuse)
    with pytest.raises(InputError, match="Permission denied.*--output"):
        folder.check()


def test_one_run_at_a_time(folder):
    with folder.locked():
        with pytest.raises(InputError, match="already running"), OutputFolder(folder.path, "report", OWNED).locked():
            pass
        folder.check()  # the lock itself is nothing that is in the way
    with folder.locked():
        pass
