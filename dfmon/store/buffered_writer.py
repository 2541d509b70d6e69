"""Base of a database writer: items are appended to memory, and a thread writes them twice a second.

`history` and `trades` derive from it. Appending never touches the file, so a slow disk cannot delay the market loop.
Writes are transactions of bounded size, so a kill at any moment leaves complete ones only. A file that turns out to be
damaged, at the start or later, is moved aside and a new one begins; `notice` says so.
"""

from __future__ import annotations

import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from dfmon.model.units import sanitize
from dfmon.store.damage import set_aside
from dfmon.store.database import (
    COMPANIONS,
    DATABASE_ERRORS,
    DamagedRowsError,
    DatabaseSchema,
    StoreError,
    describe_damage,
    is_busy,
    looks_like_database,
)

FLUSH_INTERVAL_S: Final = 0.5  # half of what a kill may cost, so that a loaded machine keeps to it
_BATCH_ITEMS: Final = 20_000  # items a transaction

Item = TypeVar("Item")
Found = TypeVar("Found")


class BufferedWriter(ABC, Generic[Item]):
    """The one writer of a file. Raises the schema's error if the file cannot be used; `failure` has later errors.

    `notice` tells of a damaged file that was moved aside, `waiting` of another program that has the file locked or
    writes what this one would.
    """

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
        self.notice: str | None = None
        self.waiting: str | None = None
        self._standby: str | None = None  # what the last `_write_items` left to another program
        self._schema, self._path, self._max_pending, self._failure_prefix = schema, path, max_pending, failure_prefix
        self._pending: list[Item] = []
        self._buffer_lock, self._db_lock = threading.Lock(), threading.Lock()
        self._closing = threading.Event()
        try:
            self._db = self._open()
        except StoreError as exc:
            if not exc.damage or not self._move_aside(exc.damage):
                raise
            self._db = self._open()
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

    # ---- the file ----------------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        db = self._db = self._schema.open_read_write(self._path)
        try:
            with self._schema.translate_errors(self._path), db:
                self._clean_up()
        except BaseException:
            db.close()
            raise
        return db

    def _move_aside(self, damage: str) -> bool:
        """Moves the file aside, at most once a run. False where that is not possible."""
        try:
            if self.notice is not None or not looks_like_database(self._path):
                return False
            moved_path = set_aside(self._path, COMPANIONS)
        except OSError:
            return False
        name = self._schema.name
        self.notice = (
            f"{sanitize(str(self._path))} was damaged ({damage}): moved to {moved_path.name}, a new {name} begins"
        )
        return True

    def _begin_anew(self, damage: str) -> bool:
        """Replaces a damaged file by a new one, under the lock of the database. False where that is not possible."""
        self._db.close()
        try:
            if self._move_aside(damage):
                self._db = self._open()
                return True
        except StoreError as exc:
            damage = str(exc)
        with self._buffer_lock:
            self.failure = f"{self._failure_prefix}: {sanitize(str(self._path))} is damaged: {damage}"
        return False

    def _read(self, read: Callable[[], Found], empty: Found) -> Found:
        """The result of `read` after a flush; `empty` where the file is damaged. Raises the schema's other errors."""
        self.flush()
        with self._db_lock:
            if self.failure is not None:
                return empty
            try:
                with self._schema.translate_errors(self._path):
                    return read()
            except StoreError as exc:
                if not exc.damage:
                    raise
                self._on_rollback()
                self._begin_anew(exc.damage)
                return empty

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
                    if not self._on_write_error(exc, items):
                        return
                else:
                    self.waiting = self._standby
                    if len(items) < _BATCH_ITEMS:
                        return

    def _on_write_error(self, exc: Exception, items: list[Item]) -> bool:
        """True where the items can be written now: to a new file in place of a damaged one."""
        self._on_rollback()
        damage = describe_damage(exc) if isinstance(exc, sqlite3.Error | DamagedRowsError) else ""  # else the item's
        is_new_file = bool(damage) and self._begin_anew(damage)
        self.waiting = self._schema.describe_error(self._path, exc) if is_busy(exc) else None
        with self._buffer_lock:
            unwritten = items + self._pending
            self._pending = unwritten[: self._max_pending] if is_new_file or is_busy(exc) else []
            self.dropped += len(unwritten) - len(self._pending)
            if not is_new_file and not is_busy(exc) and self.failure is None:
                self.failure = f"{self._failure_prefix}: {self._schema.describe_error(self._path, exc)}"
        return is_new_file

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
