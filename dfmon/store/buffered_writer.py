"""Base of a database writer: items are appended to memory, and a thread writes them once a second.

`history` and `trades` derive from it. Appending never touches the file, so a slow disk cannot delay the market loop.
Writes are transactions of bounded size, so a kill at any moment leaves complete ones only.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from dfmon.store.database import DATABASE_ERRORS, DatabaseSchema, is_busy

FLUSH_INTERVAL_S: Final = 1.0
_BATCH_ITEMS: Final = 20_000  # items a transaction

Item = TypeVar("Item")


class BufferedWriter(ABC, Generic[Item]):
    """The one writer of a file. Raises the schema's error if the file cannot be used; `failure` has later errors."""

    def __init__(
        self,
        schema: DatabaseSchema,
        path: Path,
        *,
        max_pending: int,
        failure_prefix: str,
        flush_interval_s: float | None,
    ) -> None:
        """Opens the database. At most `max_pending` items wait while another process has it locked.

        With `flush_interval_s` None the caller flushes. A subclass sets what `_clean_up` needs before this call.
        """
        self.dropped = 0
        self.failure: str | None = None
        self._schema, self._path, self._max_pending, self._failure_prefix = schema, path, max_pending, failure_prefix
        self._pending: list[Item] = []
        self._buffer_lock, self._db_lock = threading.Lock(), threading.Lock()
        self._closing = threading.Event()
        self._db = schema.open_read_write(path)
        try:
            with schema.translate_errors(path), self._db:
                self._clean_up()
        except BaseException:
            self._db.close()
            raise
        self._thread = threading.Thread(
            target=self._run, args=(flush_interval_s,), name=f"dfmon-{schema.name}", daemon=True
        )
        if flush_interval_s is not None:
            self._thread.start()

    # ---- for subclasses; each is called in a transaction -------------------------------------------------------------

    @abstractmethod
    def _clean_up(self) -> None:
        """Deletes what has expired since the last run."""

    @abstractmethod
    def _write_items(self, items: list[Item]) -> None:
        """Writes them all."""

    @abstractmethod
    def _on_rollback(self) -> None:
        """The last `_write_items` was rolled back: drop what it cached."""

    # ---- the buffer and its thread -----------------------------------------------------------------------------------

    def _enqueue(self, items: Sequence[Item]) -> None:
        """Appends all of `items` for the next flush, or none, which counts as dropped. No I/O; never raises."""
        with self._buffer_lock:
            if self.failure is not None or len(self._pending) + len(items) > self._max_pending:
                self.dropped += len(items)
            else:
                self._pending += items

    def flush(self) -> None:
        """Writes what was appended. Never raises: see `failure`.

        A database locked by another process is tried again at the next flush; any other error is final.
        """
        with self._db_lock:
            while self.failure is None:
                with self._buffer_lock:
                    items, self._pending = self._pending[:_BATCH_ITEMS], self._pending[_BATCH_ITEMS:]
                if not items:
                    return
                try:
                    with self._db:
                        self._db.execute("BEGIN IMMEDIATE")
                        self._write_items(items)
                except DATABASE_ERRORS as exc:
                    self._on_write_error(exc, items)
                    return

    def _on_write_error(self, exc: Exception, items: list[Item]) -> None:
        self._on_rollback()
        with self._buffer_lock:
            unwritten = items + self._pending
            self._pending = unwritten[: self._max_pending] if is_busy(exc) else []
            self.dropped += len(unwritten) - len(self._pending)
            if not is_busy(exc):
                self.failure = f"{self._failure_prefix}: {self._schema.describe_error(self._path, exc)}"

    def _run(self, flush_interval_s: float) -> None:
        while not self._closing.wait(flush_interval_s):
            self.flush()

    def close(self) -> None:
        """Flushes and closes. Safe to call twice."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(10.0)
        self.flush()
        with self._db_lock, self._buffer_lock:
            self.dropped += len(self._pending)
            self._pending = []
            self.failure = self.failure or f"the {self._schema.name} is closed"
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
