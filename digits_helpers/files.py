"""Write files whole or not at all."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all: to a temporary neighbour first, then renamed into place.

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
        os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a dictionary as readable JSON, whole or not at all."""
    write_whole(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
