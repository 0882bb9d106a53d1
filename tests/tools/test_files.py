"""Files appear whole or not at all, also when the power goes."""

import os
import stat
import sys

import pytest

from digits_helpers import files
from digits_helpers.files import write_json, write_whole


@pytest.fixture
def calls(monkeypatch):
    """What is asked of the system, in order: "flush" with the size of the file or "folder", and "rename"."""
    made = []

    def flush(handle):
        status = os.fstat(handle)
        made.append("folder" if stat.S_ISDIR(status.st_mode) else f"flush {status.st_size}")

    def rename(source, destination, replace=os.replace):
        made.append("rename")
        replace(source, destination)

    monkeypatch.setattr(files.os, "fsync", flush)
    monkeypatch.setattr(files.os, "replace", rename)
    return made


def test_content_reaches_the_disk_before_the_name(tmp_path, calls):
    write_whole(tmp_path / "übung.txt", "ä\n")
    assert calls == ["flush 3", "rename", "folder"][: 2 if sys.platform == "win32" else 3]
    assert (tmp_path / "übung.txt").read_bytes() == "ä\n".encode()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    write_json(path, {"old": 1})

    def fail(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_json(path, {"new": 1})
    assert path.read_text(encoding="utf-8") == '{\n "old": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_right_after_the_renaming_stays_an_interruption(tmp_path, monkeypatch):
    def rename(source, destination, replace=os.replace):
        replace(source, destination)
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", rename)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_folder_that_cannot_be_flushed_is_no_reason_to_fail(tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "as on Windows")))
    files._flush_folder(tmp_path)
