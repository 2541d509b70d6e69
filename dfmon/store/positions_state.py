"""The file in which a run leaves its positions for the next one: written whole or not at all, refused in one sentence.

What cannot be used is moved aside, not overwritten: nothing of it is lost, and the prints are in the trade store.
Of several runs on one host the first writes it, the others only read.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from dfmon.engine.checkpoint import Memory, pack, unpack
from dfmon.model.units import clean


class StateFile:
    """One file of one exchange. `exchange` and `rests_on` must be those of the state; `trouble` says what was wrong.

    Without `keeps` it is never written.
    """

    def __init__(self, path: Path, exchange: str, rests_on: str, *, keeps: bool = True) -> None:
        self.exchange, self.rests_on = exchange, rests_on
        self.trouble: str | None = None
        self._path, self._keeps = path, keeps
        self._lock: int | None = None

    def take(self) -> None:
        """Make the file this run's to write, until `close`; where another run has it, it is only read."""
        if not self._keeps:
            return
        folder = self._path.parent
        with contextlib.suppress(OSError):  # a folder that cannot be made is told when it is written to
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.close()
                self._keeps = False
                self.trouble = f"another dfmon keeps the positions in {clean(str(folder))}; this one only reads them"

    def close(self) -> None:
        """Leave the file to others."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def read(self) -> Memory | None:
        """What the last run left, or None where there is nothing or nothing usable."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            self.trouble = f"{clean(str(self._path))} cannot be read: {(exc.strerror or str(exc)).lower()}"
            return None
        try:
            memory, _ = unpack(data)
            if memory.exchange != self.exchange:
                raise ValueError(f"positions of {clean(memory.exchange)}, not of {clean(self.exchange)}")
            if memory.rests_on != self.rests_on:
                raise ValueError("positions made under other priors")
        except ValueError as exc:
            aside = self._path.with_suffix(".unused")
            self.trouble = f"{clean(str(self._path))}: {exc}; positions begin anew"
            with contextlib.suppress(OSError):
                if self._keeps:
                    self._path.replace(aside)
                    self.trouble = f"{clean(str(self._path))}: {exc}; moved to {aside.name}, positions begin anew"
            return None
        return memory

    def write(self, memory: Memory) -> None:
        """Replace the file, where it is this run's. Never raises: see `trouble`."""
        if not self._keeps:
            return
        fresh = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            number = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(number, "wb") as file:
                file.write(pack(memory))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            self.trouble = None
        except OSError as exc:
            self.trouble = f"positions are not kept: {clean(str(self._path))}: {(exc.strerror or str(exc)).lower()}"
