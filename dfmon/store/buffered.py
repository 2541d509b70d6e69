"""A database that is filled beside the market: what is appended waits in memory, a thread writes it once a second.

`history` and `trades` are two of them. Appending never touches the file, so no disk holds up the market loop; writing
goes in transactions of bounded size, so a kill at any moment leaves whole ones and nothing else.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from dfmon.store.database import TROUBLE, Layout, is_busy

EVERY_S: Final = 1.0
_BATCH: Final = 20_000  # items a transaction

Item = TypeVar("Item")


class Buffered(ABC, Generic[Item]):
    """One writer. Raises the error of its layout where the file cannot be used; later trouble is told in `failed`."""

    def __init__(self, layout: Layout, path: Path, *, most: int, stopped: str, every_s: float | None) -> None:
        """`most` items wait while another process holds the database. `every_s` None leaves flushing to the caller.

        A subclass has what `_tidy` needs before it comes here.
        """
        self.dropped = 0
        self.failed: str | None = None
        self._layout, self._path, self._most, self._stopped = layout, path, most, stopped
        self._pending: list[Item] = []
        self._buffer, self._file = threading.Lock(), threading.Lock()
        self._closing = threading.Event()
        self._db = layout.open_read_write(path)
        try:
            with layout.explained(path), self._db:
                self._tidy()
        except BaseException:
            self._db.close()
            raise
        self._thread = threading.Thread(target=self._run, args=(every_s,), name=f"dfmon-{layout.name}", daemon=True)
        if every_s is not None:
            self._thread.start()

    # ---- what a subclass says; each in a transaction -----------------------------------------------------------------

    @abstractmethod
    def _tidy(self) -> None:
        """Put in order what the last run left."""

    @abstractmethod
    def _write(self, items: list[Item]) -> None:
        """Write them all."""

    @abstractmethod
    def _undone(self) -> None:
        """The last `_write` has been undone: forget what it found out."""

    # ---- the buffer and its thread -----------------------------------------------------------------------------------

    def _take(self, items: Sequence[Item]) -> None:
        """Keep all of `items` for the next flush, or none. No I/O; never raises; counts what it could not take."""
        with self._buffer:
            if self.failed is not None or len(self._pending) + len(items) > self._most:
                self.dropped += len(items)
            else:
                self._pending += items

    def flush(self) -> None:
        """Write what was appended. Never raises: see `failed`.

        A database that another process holds is tried again at the next flush; any other trouble ends the keeping.
        """
        with self._file:
            while self.failed is None:
                with self._buffer:
                    items, self._pending = self._pending[:_BATCH], self._pending[_BATCH:]
                if not items:
                    return
                try:
                    with self._db:
                        self._db.execute("BEGIN IMMEDIATE")
                        self._write(items)
                except TROUBLE as exc:
                    self._trouble(exc, items)
                    return

    def _trouble(self, exc: Exception, items: list[Item]) -> None:
        self._undone()
        with self._buffer:
            waiting = items + self._pending
            self._pending = waiting[: self._most] if is_busy(exc) else []
            self.dropped += len(waiting) - len(self._pending)
            if not is_busy(exc):
                self.failed = f"{self._stopped}: {self._layout.reason(self._path, exc)}"

    def _run(self, every_s: float) -> None:
        while not self._closing.wait(every_s):
            self.flush()

    def close(self) -> None:
        """Flush and close. Safe to call twice."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(10.0)
        self.flush()
        with self._file, self._buffer:
            self.dropped += len(self._pending)
            self._pending = []
            self.failed = self.failed or f"the {self._layout.name} is closed"
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
