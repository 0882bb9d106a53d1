"""Files that are written whole or not at all, and folders that a command makes and replaces."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from digits_tools.errors import InputError

IGNORED = {".DS_Store", ".ipynb_checkpoints"}  # what looking into a folder leaves there


def reason(error: OSError) -> str:
    """Give the reason in a few words why a file cannot be read or written, as in "No space left on device"."""
    return error.strerror or type(error).__name__


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all: to a temporary neighbour first, which then takes its place.

    Text is written as UTF-8 with Unix line ends. OSError where the folder cannot be written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # so that a power cut leaves the old or the new file
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any) -> None:
    """Write readable JSON, whole or not at all."""
    atomic_write(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty where the file is missing or damaged. Numbers that are not finite become None."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class OutputFolder:
    """A folder that a command makes, and replaces when it runs again.

    Its marker file lists what the command writes there. A folder with anything else in it is refused, so nothing of the
    user's is deleted.

    Attributes:
        path: absolute.
        command: name of the command, "report" or "sweep".
        owned: what the command writes, relative to the folder; a name with a slash at the end is a folder that belongs
            to the command with everything in it.
    """

    def __init__(self, path: Path, command: str, owned: Iterable[str]) -> None:
        self.path = path.expanduser().absolute()
        self.command = command
        self.owned = set(owned)
        self.marker = self.path / f".digits-{command}"
        self.lock_file = self.path / f".digits-{command}.lock"

    def check(self) -> None:
        """Check, without changing anything, that the command may write here.

        Raises:
            InputError: there is a file, or a folder with something else, or it cannot be written.
        """
        advice = "choose another folder with --output, or move what is there."
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"The output {str(self.path)!r} is a file, but a {self.command} needs a folder: {advice}")
        try:
            unexpected = self._files() - self._owned_files()
            if unexpected:
                raise InputError(
                    f"The output folder {str(self.path)!r} holds something that is not part of a {self.command} "
                    f"({min(unexpected)!r}): {advice}"
                )
            nearest = next(path for path in (self.path, *self.path.parents) if path.exists())
            tempfile.TemporaryFile(dir=nearest).close()  # os.access knows nothing of read-only or full disks
        except OSError as error:
            raise self._unwritable(error) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the folder, which is made if missing, while the block runs.

        The operating system holds the lock, so it ends with this process, however that ends.

        Raises:
            InputError: another run writes there, or the folder cannot be written.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.lock_file, blocking=False)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise InputError(
                f"Another `digits {self.command}` is already running in {str(self.path)!r}: wait for its end, or "
                "choose another folder with --output."
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            lock.release()

    def prepare(self, reused: Iterable[str] = ()) -> None:
        """Make the folder, without what an earlier run left there.

        Args:
            reused: files to leave as they are, relative to the folder, with slashes.

        Raises:
            InputError: it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # First of all the marker: what is half made or half removed must stay replaceable
            write_json(self.marker, {"command": self.command, "owned": sorted(self.owned | self._listed())})
            for name in sorted(self._owned_files() - set(reused), reverse=True):
                path = self.path / name
                path.unlink()
                if path.parent != self.path and not any(path.parent.iterdir()):
                    path.parent.rmdir()
            for name in self.owned:
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                if name.endswith("/"):
                    (self.path / name).mkdir(exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def _listed(self) -> set[str]:
        """Read what the marker of an earlier run lists."""
        found = read_json(self.marker).get("owned")
        return {str(name) for name in found} if isinstance(found, list) else set()

    def _files(self) -> set[str]:
        """List all files in the folder, except the marker, the lock and what other programs leave."""
        own = {self.marker, self.lock_file, self.marker.with_name(f".{self.marker.name}.tmp")}
        paths = (path for path in self.path.rglob("*") if not path.is_dir() or path.is_symlink())
        names = (path.relative_to(self.path) for path in paths if path not in own)
        return {name.as_posix() for name in names if not IGNORED.intersection(name.parts)}

    def _owned_files(self) -> set[str]:
        """List the files in the folder that an earlier run wrote, with those it was writing when it was killed."""
        listed = self._listed()
        folders = tuple(name for name in listed if name.endswith("/"))
        temporary = {str(Path(name).with_name(f".{Path(name).name}.tmp").as_posix()) for name in listed}
        return {name for name in self._files() if name in listed | temporary or name.startswith(folders)}

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(
            f"The output folder {str(self.path)!r} cannot be written ({reason(error)}): choose another folder with "
            "--output."
        )
