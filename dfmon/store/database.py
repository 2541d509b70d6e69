"""An embedded database of ours: opened with its schema checked, and its troubles said in one sentence.

`history_file` and `trades` each keep one, which `buffered` fills; the file's application id and schema tell them apart
from each other and from databases of other programs. SQLite in WAL mode, `synchronous=normal`: a crash of the process
loses no finished transaction, a power failure may lose the last few, and neither leaves half of one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from dfmon.model.errors import DfmonError
from dfmon.model.units import sanitize

_BUSY_TIMEOUT_S: Final = 2.0

# What SQLite raises, and what it or numpy raise on a value or blob that cannot be true.
DATABASE_ERRORS: Final = (sqlite3.Error, ValueError, TypeError, OverflowError)


@dataclass(frozen=True, slots=True)
class DatabaseSchema:
    """What a database of ours is: its name in sentences, ids that the file carries, and how it is made."""

    name: str
    application_id: int
    create_sql: str
    error: type[DfmonError]
    migrations: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        """The schema of a new file: `create_sql` is schema 1, each migration the step to the next one."""
        return 1 + len(self.migrations)

    def describe_error(self, path: Path, exc: Exception) -> str:
        """What went wrong with the database, in one sentence."""
        display_path, text = sanitize(str(path)), sanitize(str(exc))
        if is_busy(exc):
            return f"{display_path} is locked by another program: {text}"
        if isinstance(exc, sqlite3.DatabaseError) and ("malformed" in text or "not a database" in text):
            return f"{display_path} is damaged or not a {self.name}: {text}; move it away to begin a new one"
        return f"cannot use {display_path}: {text}"

    @contextmanager
    def translate_errors(self, path: Path) -> Iterator[None]:
        """Trouble inside becomes the error of this kind of database."""
        try:
            yield
        except DATABASE_ERRORS as exc:
            raise self.error(self.describe_error(path, exc)) from None

    def open_read_write(self, path: Path) -> sqlite3.Connection:
        """The database, made if it is not there, readable to its owner only."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as exc:
            raise self.error(f"cannot write {sanitize(str(path))}: {(exc.strerror or str(exc)).lower()}") from None
        with self.translate_errors(path):
            # One thread uses it at a time: its owner holds a lock.
            db = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, check_same_thread=False)
            try:
                self._prepare(db, path)
            except BaseException:
                db.close()
                raise
            return db

    def open_read_only(self, path: Path) -> sqlite3.Connection:
        if not path.is_file():
            raise self.error(f"{sanitize(str(path))} does not exist: there is no {self.name} yet")
        with self.translate_errors(path):
            uri = f"file:{quote(str(path.absolute()))}?mode=ro"
            db = sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_S, check_same_thread=False)
            try:
                self._check(db, path)
            except BaseException:
                db.close()
                raise
            return db

    def _prepare(self, db: sqlite3.Connection, path: Path) -> None:
        empty = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not empty:
            self._check(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if empty:
            try:
                db.executescript(f"BEGIN IMMEDIATE; {self._create_script()} COMMIT;")
            except sqlite3.OperationalError:
                # Another process was faster between our look and our writing.
                if db.in_transaction:
                    db.rollback()
        self._migrate(db, path)

    def _create_script(self) -> str:
        return f"""
            CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
            {self.create_sql}
            INSERT INTO meta VALUES ('schema', 1);
            PRAGMA application_id = {self.application_id};
        """

    def _migrate(self, db: sqlite3.Connection, path: Path) -> None:
        """Takes the steps from the file's schema to this one, all or none of them."""
        if self._check(db, path) == self.version:
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            found = self._check(db, path)  # once more: another process may have taken them meanwhile
            for step in self.migrations[found - 1 :]:
                db.execute(step)
            db.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (self.version,))
        except BaseException:
            db.rollback()
            raise
        db.commit()

    def _check(self, db: sqlite3.Connection, path: Path) -> int:
        """The schema of the file. Raises `error` where this program cannot read it."""
        display_path = sanitize(str(path))
        if db.execute("PRAGMA application_id").fetchone()[0] != self.application_id:
            raise self.error(f"{display_path} is a database of another program: a file of its own is needed")
        found = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        version = found[0] if found else None
        if not isinstance(version, int) or version < 1:
            raise self.error(f"{display_path} is a {self.name} without a schema: move it away to begin a new one")
        if version > self.version:
            raise self.error(
                f"{display_path} is a {self.name} of a newer dfmon, in schema {version}, and this one reads up to"
                f" {self.version}: update dfmon, or move the file away to begin a new one"
            )
        return version


def is_busy(exc: Exception) -> bool:
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
