"""A file of JSON objects, one a line, each with the hash of the line before; lines are only appended."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from dfmon.model.errors import DfmonError
from dfmon.model.units import iso, sanitize

_FIRST: Final = "0" * 64


class HashChain:
    """The lines of a file, verified. Raises DfmonError where one does not follow from the line before.

    `subject` names the file in errors.
    """

    def __init__(self, path: Path, clock: Callable[[], int], subject: str) -> None:
        self._path, self._clock, self._subject = path, clock, subject
        self.entries: list[dict[str, Any]] = []
        self.head = _FIRST  # the hash of the last line
        self._line_count, self._size = 0, 0  # of what is verified; bytes
        try:
            if path.exists():
                with path.open("rb") as file:
                    self._read_new_lines(file)
        except OSError as exc:
            raise DfmonError(f"{path}: the {subject} cannot be read: {exc.strerror or exc}") from None

    def _read_new_lines(self, file: IO[bytes]) -> None:
        """Verifies the lines after those that are verified already; a last one without its end is no line yet."""
        file.seek(self._size)
        for line in file:
            if not line.endswith(b"\n"):
                break
            self._line_count += 1
            self._check(line[:-1], self._line_count)
            self._size += len(line)

    def _check(self, line: bytes, number: int) -> None:
        try:
            entry = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError:
            entry = {}
        if entry.get("prev") != self.head:
            file = f" ({sanitize(str(entry['file']), 80)})" if "file" in entry else ""
            raise DfmonError(
                f"{self._path}: line {number}{file} does not follow from the line before; the {self._subject} was "
                "changed, and a new one is needed"
            )
        self.entries.append(entry)
        self.head = hashlib.sha256(line).hexdigest()

    def append(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Appends an entry behind those of other processes; what a killed one left of a line is cut off."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # released as the file is closed
                self._read_new_lines(file)
                file.truncate(self._size)
                line = msgspec.json.encode({"prev": self.head, "time": iso(self._clock()), **content}) + b"\n"
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
                self._read_new_lines(file)
        except OSError as exc:
            raise DfmonError(f"{self._path}: the {self._subject} cannot be written: {exc.strerror or exc}") from None
        return self.entries[-1]
