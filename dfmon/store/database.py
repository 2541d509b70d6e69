"""Embedded databases: opened with their schema checked and migrated, errors as one sentence that knows damage.

`history_file` and `trades` define one each, which `buffered_writer` fills; the file's application id distinguishes them
from each other and from databases of other programs. SQLite in WAL mode, `synchronous=normal`: a crash of the process
loses no committed transaction, a power failure may lose the last few, and neither leaves half of one.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from dfmon.model.errors import DfmonError
from dfmon.model.units import sanitize

_BUSY_TIMEOUT_S: Final = 2.0
_STEPS: Final = "steps"  # the table of the steps taken

# Errors of SQLite, and those that it, numpy or msgspec raise on an impossible value or blob.
DATABASE_ERRORS: Final = (sqlite3.Error, ValueError, TypeError, OverflowError, msgspec.MsgspecError)
COMPANIONS: Final = ("-wal", "-shm")  # suffixes of the files beside a database
_MAGIC: Final = b"SQLite format 3\0"
_SUFFIXES: Final = frozenset({".sqlite", ".sqlite3", ".db"})
# Errors of SQLite that say nothing about the file's content.
_NO_DAMAGE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_ABORT,
    }
)  # fmt: skip
_DAMAGED_READS: Final = frozenset(
    {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}
)


_ABSENT: Final = ("no such table", "no such column", "malformed")


class StoreError(DfmonError):
    """A database cannot be used; `damage` is what is wrong with its content, empty for any other reason."""

    damage: str = ""


@dataclass(frozen=True, slots=True)
class Migration:
    """A step from one schema to the next: its name, which stands in the file for ever, and its statements."""

    name: str
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatabaseSchema:
    """A kind of database: its name in messages, the id in its files, the tables of schema 1 and the steps since.

    The file lists the names of the steps that it has taken, so that a step of another branch of the program, which may
    have the same number, is known from one of this.
    """

    name: str
    application_id: int
    create_sql: str
    error: type[StoreError]
    migrations: tuple[Migration, ...] = ()

    @property
    def version(self) -> int:
        """The schema of a new file: `create_sql` is schema 1, each migration the step to the next one."""
        return 1 + len(self.migrations)

    def describe_error(self, path: Path, exc: Exception) -> str:
        """The error of the database as one sentence."""
        display_path, text = sanitize(str(path)), sanitize(str(exc))
        if is_busy(exc):
            return f"{display_path} is locked by another program: {text}"
        if isinstance(exc, sqlite3.DatabaseError) and ("malformed" in text or "not a database" in text):
            return f"{display_path} is damaged or not a {self.name}: {text}; move it away to begin a new one"
        return f"cannot use {display_path}: {text}"

    @contextmanager
    def translate_errors(self, path: Path) -> Iterator[None]:
        """Turns errors inside into the error of this kind of database."""
        try:
            yield
        except DATABASE_ERRORS as exc:
            raise self._make_error(self.describe_error(path, exc), describe_damage(exc)) from None

    def _make_error(self, message: str, damage: str = "") -> StoreError:
        error = self.error(message)
        error.damage = damage
        return error

    def open_read_write(self, path: Path) -> sqlite3.Connection:
        """Opens the database, creates or migrates it where needed. Readable to its owner only."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
            is_regular = stat.S_ISREG(os.fstat(fd).st_mode)
            os.close(fd)
        except OSError as exc:
            reason = (exc.strerror or str(exc)).lower()
            damage = reason if isinstance(exc, IsADirectoryError) or exc.errno == errno.ELOOP else ""
            raise self._make_error(f"cannot write {sanitize(str(path))}: {reason}", damage) from None
        if not is_regular:
            reason = "it is no regular file"
            raise self._make_error(f"cannot use {sanitize(str(path))}: {reason}", reason)
        with self.translate_errors(path):
            # used by one thread at a time: the owner locks
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
                # another process created it between the check and the script
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
        """Applies the steps that the file has not taken, all of them or none."""
        if len(self._check(db, path)) == len(self.migrations):
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            taken = self._check(db, path)  # again, under the lock: another process may have applied them
            db.execute(f"CREATE TABLE IF NOT EXISTS {_STEPS} (number INTEGER PRIMARY KEY, name TEXT UNIQUE)")
            for number, step in enumerate(self.migrations, start=1):
                if step.name not in taken:
                    for statement in step.statements:
                        db.execute(statement)
                db.execute(f"INSERT OR REPLACE INTO {_STEPS} VALUES (?, ?)", (number, step.name))
            db.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (self.version,))
        except BaseException:
            db.rollback()
            raise
        db.commit()

    def _check(self, db: sqlite3.Connection, path: Path) -> tuple[str, ...]:
        """The names of the steps that the file has taken. Raises `error` where this program cannot read it."""
        display_path = sanitize(str(path))
        if db.execute("PRAGMA application_id").fetchone()[0] != self.application_id:
            raise self.error(f"{display_path} is a database of another program: a file of its own is needed")
        db.execute("PRAGMA cell_size_check = ON")
        found = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        version = found[0] if found else None
        if not isinstance(version, int) or version < 1:
            message = f"{display_path} is a {self.name} without a schema: move it away to begin a new one"
            raise self._make_error(message, "it has no schema")
        if version > self.version:
            raise self.error(
                f"{display_path} is a {self.name} of a newer dfmon, in schema {version}, and this one reads up to"
                f" {self.version}: update dfmon, or move the file away to begin a new one"
            )
        taken, known = _taken_steps(db), {step.name for step in self.migrations}
        unknown = [name for name in taken if name not in known]
        if unknown or len(taken) != version - 1:
            step = sanitize(unknown[0]) if unknown else "without a name"
            raise self.error(
                f"{display_path} is a {self.name} of another dfmon, with the step {step!r} that this one does not know:"
                " use that dfmon, or move the file away to begin a new one"
            )
        return taken


def _taken_steps(db: sqlite3.Connection) -> tuple[str, ...]:
    if not has_table(db, _STEPS):
        return ()
    return tuple(name for (name,) in db.execute(f"SELECT name FROM {_STEPS} ORDER BY number"))


def has_table(db: sqlite3.Connection, name: str) -> bool:
    """False for a table that a file lacks which only an older program has written."""
    return bool(db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)).fetchone())


def is_busy(exc: Exception) -> bool:
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class DamagedRowsError(ValueError):
    """Stored rows have impossible values."""


def describe_damage(exc: Exception) -> str:
    """The damage of the file that an error stands for; empty where it is about something else."""
    if isinstance(exc, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        return ""
    code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if code & 0xFF in _NO_DAMAGE or (code & 0xFF == sqlite3.SQLITE_IOERR and code not in _DAMAGED_READS):
        return ""
    text = sanitize(str(exc))
    if code == sqlite3.SQLITE_ERROR and not text.startswith(_ABSENT):
        return ""
    return text or type(exc).__name__


def looks_like_database(path: Path) -> bool:
    """True for a file with the header of SQLite or the name of a database: no other one is moved aside as damaged."""
    if path.suffix in _SUFFIXES:
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC
