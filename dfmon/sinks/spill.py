"""Lines on disk until their reader has taken them: a first line with the position of the reader, then JSON lines.

A line is in the file before it is sent, so a kill loses none that was appended; what was sent and not yet noted is sent
again. Where the disk cannot be written the lines wait in memory, up to a limit. Beyond the limits the newest are lost,
and counted.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from dfmon.model.units import sanitize

MEMORY_LINES: Final = 10_000  # that wait while the disk cannot be written
_HEADER_BYTES: Final = 32
_CHUNK_BYTES: Final = 1 << 16


class SpillFile:
    """A queue of lines in a file of its own, locked while open. `path` None: in memory alone.

    `limit_bytes` bounds the file. Methods may be called from any thread and never raise. `error` is why the disk is not
    used, "" while it is.
    """

    def __init__(self, path: Path | None, limit_bytes: int) -> None:
        self.path = path
        self.lost = 0
        self.error = ""
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._memory: deque[bytes] = deque()  # bounded by MEMORY_LINES in `append`
        self._in_file = 0  # lines that wait there
        self._taken_at = self._end = _HEADER_BYTES
        self._fd = -1 if path is None else self._open(path)

    @property
    def waiting(self) -> int:
        """Lines that were not taken yet."""
        return self._in_file + len(self._memory)

    @property
    def is_open(self) -> bool:
        """False where another process has the file, or it cannot be used."""
        return self._fd >= 0

    def append(self, lines: Sequence[bytes]) -> None:
        """Adds lines without their ends."""
        with self._lock:
            self._memory.extend(lines)
            self._write_memory()
            while len(self._memory) > MEMORY_LINES:
                self._memory.pop()
                self.lost += 1

    def peek(self, limit: int) -> list[bytes]:
        """The oldest lines that wait, at most `limit`."""
        with self._lock:
            return self._read_file(limit) or list(islice(self._memory, limit))

    def take(self, count: int) -> None:
        """Removes the oldest `count` lines, all of which one `peek` returned."""
        with self._lock:
            lines = self._read_file(count)
            for _ in range(0 if lines else min(count, len(self._memory))):
                self._memory.popleft()
            self._in_file -= len(lines)
            self._taken_at += sum(len(line) + 1 for line in lines)
            if lines:
                self._note_position()
            self._write_memory()

    def close(self) -> None:
        """Closes the file, and deletes it if nothing waits."""
        with self._lock:
            if self._fd < 0 or self.path is None:
                return
            if not self._in_file:
                with suppress(OSError):
                    self.path.unlink()
            os.close(self._fd)
            self._fd = -1

    # ---- the file; under the lock ------------------------------------------------------------------------------------

    def _open(self, path: Path) -> int:
        fd = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._recover(fd)
        except OSError as exc:
            self.error = self._describe(exc)
            if fd >= 0:
                os.close(fd)
            return -1
        return fd

    def _recover(self, fd: int) -> None:
        """Finds the position of the reader, and cuts off a line that a kill left incomplete."""
        header = os.pread(fd, _HEADER_BYTES, 0)
        if len(header) < _HEADER_BYTES:
            os.ftruncate(fd, 0)
            os.pwrite(fd, _header(_HEADER_BYTES), 0)
            return
        digits = header[9:-2].strip()
        taken_at = int(digits) if digits.isdigit() else _HEADER_BYTES
        size = os.fstat(fd).st_size
        self._taken_at = taken_at if _HEADER_BYTES <= taken_at <= size else _HEADER_BYTES
        at = self._end = self._taken_at
        while block := os.pread(fd, _CHUNK_BYTES, at):
            self._in_file += block.count(b"\n")
            if (last := block.rfind(b"\n")) >= 0:
                self._end = at + last + 1
            at += len(block)
        os.ftruncate(fd, self._end)

    def _write_memory(self) -> None:
        """Moves the lines in memory to the file, as far as its limit; the others are lost."""
        if self._fd < 0 or not self._memory:
            return
        room = self._limit_bytes - self._end
        count = size = 0
        for line in self._memory:
            if size + len(line) + 1 > room:
                break
            size += len(line) + 1
            count += 1
        data = b"".join(line + b"\n" for line in islice(self._memory, count))
        try:
            if os.pwrite(self._fd, data, self._end) < len(data):
                raise OSError(None, "the disk is full")
        except OSError as exc:
            self.error = self._describe(exc)
            with suppress(OSError):
                os.ftruncate(self._fd, self._end)
            return
        full = OSError(None, f"the bound of {self._limit_bytes:,} bytes is reached")
        self.error = self._describe(full) if count < len(self._memory) else ""
        self._end += size
        self._in_file += count
        self.lost += len(self._memory) - count
        self._memory.clear()

    def _read_file(self, limit: int) -> list[bytes]:
        """The first lines of the file that wait. The bound of a line is that of the file."""
        if self._fd < 0 or not self._in_file:
            return []
        data, at = b"", self._taken_at
        while data.count(b"\n") < min(limit, self._in_file):
            try:
                block = os.pread(self._fd, _CHUNK_BYTES, at)
            except OSError as exc:
                self.error = self._describe(exc)
                return []
            if not block:
                break
            data += block
            at += len(block)
        return data.split(b"\n")[: min(limit, data.count(b"\n"))]

    def _note_position(self) -> None:
        """Writes the position of the reader. A file without lines that wait is emptied, the position first."""
        is_empty = not self._in_file
        self._taken_at = _HEADER_BYTES if is_empty else self._taken_at
        try:
            os.pwrite(self._fd, _header(self._taken_at), 0)
            if is_empty:
                self._end = _HEADER_BYTES
                os.ftruncate(self._fd, _HEADER_BYTES)
        except OSError as exc:
            self.error = self._describe(exc)

    def _describe(self, exc: OSError) -> str:
        reason = "in use by another dfmon" if isinstance(exc, BlockingIOError) else exc.strerror or str(exc)
        return f"{sanitize(str(self.path))}: {reason}"


def _header(taken_at: int) -> bytes:
    return f'{{"taken":{taken_at}'.ljust(_HEADER_BYTES - 2).encode() + b"}\n"


class SpillQueue:
    """The lines of one stream: those that earlier runs left in the folder, in their order, then those of this run.

    A file is named by its stream and the run that wrote it; that of this run is made when the first line comes.
    """

    def __init__(self, folder: Path | None, stream: str, session: str, limit_bytes: int) -> None:
        self._folder, self._limit_bytes = folder, limit_bytes
        self._name = f"{stream}-{session}.jsonl"
        self._earlier: list[SpillFile] = []
        for path in sorted(folder.glob(f"{stream}-*.jsonl")) if folder is not None and folder.is_dir() else ():
            file = SpillFile(path, limit_bytes)
            if file.is_open:  # else it is another process's
                self._earlier.append(file)
        self.inherited = sum(file.waiting for file in self._earlier)
        self._current: SpillFile | None = None

    @property
    def waiting(self) -> int:
        return sum(file.waiting for file in self._files)

    @property
    def lost(self) -> int:
        return 0 if self._current is None else self._current.lost

    @property
    def error(self) -> str:
        return "" if self._current is None or self._folder is None else self._current.error

    @property
    def _files(self) -> list[SpillFile]:
        return [*self._earlier, *([self._current] if self._current is not None else [])]

    def append(self, lines: Sequence[bytes]) -> None:
        if not lines:
            return
        if self._current is None:
            self._current = SpillFile(self._folder and self._folder / self._name, self._limit_bytes)
        self._current.append(lines)

    def peek(self, limit: int) -> list[bytes]:
        """The oldest lines, at most `limit`, all of one run."""
        return next((lines for file in self._files if (lines := file.peek(limit))), [])

    def take(self, count: int) -> None:
        """Removes the oldest `count` lines, which the last `peek` returned."""
        file = next((file for file in self._files if file.waiting), None)
        if file is None:
            return
        file.take(count)
        if file is not self._current and not file.waiting:
            file.close()
            self._earlier.remove(file)

    def close(self) -> None:
        """Closes the files; those with lines stay for the next run."""
        for file in self._files:
            file.close()
