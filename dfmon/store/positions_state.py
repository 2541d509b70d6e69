"""The file in which a run leaves its positions for the next one: written whole or not at all, refused in one sentence.

What cannot be used is moved aside, not overwritten: nothing of it is lost, and the prints are in the trade store.
"""

from __future__ import annotations

import os
from pathlib import Path

from dfmon.engine.memory import Memory, pack, unpack
from dfmon.model.units import clean


class StateFile:
    """One file of one exchange. `exchange` and `rests_on` must be those of the state; `trouble` says what was wrong."""

    def __init__(self, path: Path, exchange: str, rests_on: str) -> None:
        self.exchange, self.rests_on = exchange, rests_on
        self.trouble: str | None = None
        self._path = path

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
            self.trouble = f"{clean(str(self._path))}: {exc}; moved to {aside.name}, positions begin anew"
            try:
                self._path.replace(aside)
            except OSError:
                self.trouble = f"{clean(str(self._path))}: {exc}; positions begin anew"
            return None
        return memory

    def write(self, memory: Memory) -> None:
        """Replace the file. Never raises: see `trouble`."""
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
