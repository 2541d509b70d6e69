"""The ledger of evaluations: one JSON object a line, each with the hash of the line before; lines are only appended.

Hypotheses are entered before a source is read, results after. `trials` counts what was ever looked at, so that the best
of many is not taken for the first.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from dfmon.model.errors import DfmonError
from dfmon.model.units import iso

_FIRST: Final = "0" * 64


class Ledger:
    """The lines of a file, verified. Raises DfmonError where a line does not follow from the one before."""

    def __init__(self, path: Path, clock: Callable[[], int]) -> None:
        self._path, self._clock = path, clock
        self._entries: list[dict[str, Any]] = []
        self._last, self._line_count, self._size = _FIRST, 0, 0  # of what is verified; bytes
        try:
            if path.exists():
                with path.open("rb") as file:
                    self._read_new_lines(file)
        except OSError as exc:
            raise DfmonError(f"{path}: the ledger cannot be read: {exc.strerror or exc}") from None

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
        if entry.get("prev") != self._last:
            raise DfmonError(
                f"{self._path}: line {number} does not follow from the line before; the ledger was changed, and a new "
                "one is needed"
            )
        self._entries.append(entry)
        self._last = hashlib.sha256(line).hexdigest()

    def register(self, hypotheses: str) -> str:
        """The time at which these hypotheses were first entered; enters them if they are new."""
        for entry in self._entries:
            if entry.get("kind") == "hypotheses" and entry.get("digest") == hypotheses:
                return str(entry["time"])
        return str(self._append({"kind": "hypotheses", "digest": hypotheses})["time"])

    def enter_run(self, hypotheses: str, source: str, source_digest: str, result: str) -> None:
        """Enters a run: hashes of hypotheses, source and result."""
        self._append(
            {"kind": "run", "hypotheses": hypotheses, "source": source, "digest": source_digest, "result": result}
        )

    def trials(self, hypotheses: str, source_digest: str) -> int:
        """Number of different pairs of hypotheses and source that were run, this one among them."""
        pairs = {(e["hypotheses"], e["digest"]) for e in self._entries if e.get("kind") == "run"}
        return len(pairs | {(hypotheses, source_digest)})

    def _append(self, content: dict[str, Any]) -> dict[str, Any]:
        """Appends an entry behind those of other processes; what a killed one left of a line is cut off."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # released as the file is closed
                self._read_new_lines(file)
                file.truncate(self._size)
                line = msgspec.json.encode({"prev": self._last, "time": iso(self._clock()), **content}) + b"\n"
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
                self._read_new_lines(file)
        except OSError as exc:
            raise DfmonError(f"{self._path}: the ledger cannot be written: {exc.strerror or exc}") from None
        return self._entries[-1]
