"""Batches of rows that wait for ClickHouse on disk, oldest first, so that neither an outage nor a kill costs them.

An embedded database, which two programs may share: each sends the oldest batch and removes it, and a batch that is
sent twice replaces its own rows. Beyond `max_bytes` the oldest batches are removed; the caller counts their rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from dfmon.model.units import sanitize
from dfmon.store.damage import set_aside
from dfmon.store.database import COMPANIONS, DatabaseSchema, StoreError


class OutboxError(StoreError):
    """The outbox cannot be used; rows wait in memory."""


class Batch(NamedTuple):
    """Rows of one table as lines of JSON, with the times of the first and last of them."""

    table: str
    rows: int
    first_ns: int
    last_ns: int
    body: bytes


OUTBOX_SCHEMA: Final = DatabaseSchema(
    "history outbox",
    0x64666D6F,  # "dfmo"
    """
    CREATE TABLE batches (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, rows INTEGER, first_ns INTEGER, last_ns INTEGER, body BLOB
    );
    """,
    OutboxError,
)
_COLUMNS: Final = "name, rows, first_ns, last_ns, body"


class Outbox:
    """The outbox at a path. Raises OutboxError where the file cannot be used."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path, self._max_bytes = path, max_bytes
        self._db = OUTBOX_SCHEMA.open_read_write(path)

    def append(self, batches: Sequence[Batch]) -> int:
        """Appends batches and returns the number of rows that were removed to make room for them."""
        with OUTBOX_SCHEMA.translate_errors(self._path), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(f"INSERT INTO batches ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", batches)
            return self._trim()

    def _trim(self) -> int:
        query = "SELECT coalesce(sum(length(body)), 0) FROM batches"
        excess, removed = self._db.execute(query).fetchone()[0] - self._max_bytes, 0
        while excess > 0:
            number, rows, size = self._db.execute(
                "SELECT id, rows, length(body) FROM batches ORDER BY id LIMIT 1"
            ).fetchone()
            self._db.execute("DELETE FROM batches WHERE id = ?", (number,))
            excess, removed = excess - size, removed + rows
        return removed

    def oldest(self, max_rows: int) -> tuple[int, Batch] | None:
        """The oldest batch, joined with those of its table that follow up to `max_rows`, and the number of the last."""
        with OUTBOX_SCHEMA.translate_errors(self._path):
            joined: list[Batch] = []
            last = rows = 0
            for number, *cells in self._db.execute(f"SELECT id, {_COLUMNS} FROM batches ORDER BY id"):
                batch = Batch(*cells)
                rows += batch.rows
                if joined and (batch.table != joined[0].table or rows > max_rows):
                    break
                joined.append(batch)
                last = number
        return (last, join_batches(joined)) if joined else None

    def remove_until(self, number: int) -> None:
        """Removes the batches up to one that `oldest` returned, and returns the space of the last of them."""
        with OUTBOX_SCHEMA.translate_errors(self._path):
            with self._db:
                self._db.execute("DELETE FROM batches WHERE id <= ?", (number,))
            if not self.rows:
                self._db.execute("VACUUM")

    @property
    def rows(self) -> int:
        """The number of rows that wait."""
        with OUTBOX_SCHEMA.translate_errors(self._path):
            found: int = self._db.execute("SELECT coalesce(sum(rows), 0) FROM batches").fetchone()[0]
            return found

    def close(self) -> None:
        self._db.close()


def open_outbox(path: Path, max_bytes: int) -> tuple[Outbox, str | None]:
    """The outbox at a path. A damaged file is moved aside, which the text says; others raise OutboxError."""
    try:
        return Outbox(path, max_bytes), None
    except StoreError as exc:
        if not exc.damage:
            raise
    moved_path = set_aside(path, COMPANIONS)
    return Outbox(
        path, max_bytes
    ), f"{sanitize(str(path))} was damaged: moved to {moved_path.name}, a new outbox begins"


def join_batches(batches: Sequence[Batch]) -> Batch:
    """Batches of one table as one."""
    first_ns, last_ns = min(b.first_ns for b in batches), max(b.last_ns for b in batches)
    return Batch(batches[0].table, sum(b.rows for b in batches), first_ns, last_ns, b"\n".join(b.body for b in batches))
