"""The folder that dumps are dropped into: what in it may be a dump, and is it written yet."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".swp", "~")
_NOT_DUMPS = ("readme", "license", "licence")


@dataclass(frozen=True)
class FileState:
    """What tells one content of a path from the next without reading it."""

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Return the state of a regular file; None: there is none."""
        try:
            found = path.stat()
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)

    def to_text(self) -> str:
        """Return the state as it fits into a sensor's cursor."""
        return f"{self.inode}:{self.size}:{self.mtime_ns}"

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Read ``to_text``'s form; None: it is not one."""
        try:
            inode, size, mtime_ns = (int(part) for part in text.split(":"))
        except ValueError:
            return None
        return cls(inode, size, mtime_ns)


def candidates(folder: Path) -> list[Path]:
    """Return the files of a folder that may be dumps, the newest first, equal times by name.

    Skipped: folders, hidden and unfinished files (``.part``, ``.tmp``), READMEs. What a file is
    decides its content, when it is read. A folder that does not exist has none.
    """
    found: list[tuple[int, str, Path]] = []
    try:
        entries = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    for path in entries:
        name = path.name.lower()
        if name.startswith((".", "#", *_NOT_DUMPS)) or name.endswith(_UNFINISHED):
            continue
        state = FileState.of(path)
        if state is not None:
            found.append((-state.mtime_ns, path.name, path))
    return [path for _, _, path in sorted(found)]


def settled(path: Path, previous: FileState | None) -> bool:
    """Whether a file is as it was at the last look and not empty: nobody is writing it now."""
    state = FileState.of(path)
    return state is not None and state.size > 0 and state == previous
