"""Write files whole or not at all."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all: to a temporary neighbour first, then renamed into place.

    What is written has reached the disk before it takes its place, so that a power cut leaves the old or the new file.

    Args:
        path: where the file shall be, in an existing folder; an older one is replaced.
        content: its bytes, or its text (written as UTF-8 with Unix line ends).

    Raises:
        OSError: the folder cannot be written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)  # an interruption can come right after the renaming
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Have the new name of a file reach the disk, too, where the system knows how (Windows does not)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a dictionary as readable JSON, whole or not at all."""
    write_whole(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_record(path: Path) -> dict[str, Any]:
    """Read a JSON object that may be missing or damaged: then it is empty."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def reason(error: OSError) -> str:
    """Say in a few words why a file cannot be read or written, as in "No space left on device"."""
    return error.strerror or type(error).__name__
