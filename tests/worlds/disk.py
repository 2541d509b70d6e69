"""The disk of a world: real files in a folder of its own, and what can be wrong with them.

Recordings are written through `write`. SQLite writes by itself: a full disk is a limit of its pages, and a disk that
stalls is one on which nothing is flushed.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.worlds.session import SessionRun

_SUFFIXES: Final = (".dfj", ".sqlite", ".state")


class Disk:
    """`active` has the faults that hold: full, stall, torn."""

    def __init__(self, rng: random.Random, count: Callable[[], None]) -> None:
        self.active: list[str] = []
        self._rng, self._count = rng, count

    def begin(self, kind: str) -> Callable[[], None]:
        self.active.append(kind)
        return lambda: self.active.remove(kind)

    @property
    def stalled(self) -> bool:
        if "stall" in self.active:
            self._count()
            return True
        return False

    def write(self, fd: int, data: memoryview) -> int:
        """As os.write."""
        if "full" in self.active:
            self._count()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if "torn" in self.active and self._rng.random() < 0.5:
            self._count()
            os.write(fd, data[: len(data) // 2])
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return os.write(fd, data)

    def limit_databases(self, run: SessionRun) -> None:
        """Keeps the databases of a session from growing while the disk is full."""
        for store in (run.history, run.trades):
            db = store._db
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            limit = pages if "full" in self.active else 1 << 30
            db.execute(f"PRAGMA max_page_count = {limit}")

    def flip_bits(self, folder: Path, flips: int) -> list[str]:
        """Flips bits of files of `folder`. Returns the names of the files."""
        files = sorted(file for file in folder.rglob("*") if file.suffix in _SUFFIXES and file.stat().st_size)
        names = []
        for _ in range(flips if files else 0):
            file = self._rng.choice(files)
            data = bytearray(file.read_bytes())
            data[self._rng.randrange(len(data))] ^= 1 << self._rng.randrange(8)
            file.write_bytes(data)
            names.append(file.name)
        return names
