"""Schemas of a database: steps from one to the next, taken together or not at all; newer files are refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dfmon.model.errors import DfmonError
from dfmon.store.database import DatabaseSchema, Migration, StoreError, describe_damage

FIRST = DatabaseSchema("store", 0x64666D00, "CREATE TABLE t (a);", StoreError)
ADD_B, ADD_C, INDEX_B = (
    Migration("add b", ("ALTER TABLE t ADD COLUMN b",)),
    Migration("add c", ("ALTER TABLE t ADD COLUMN c",)),
    Migration("index b", ("CREATE INDEX t_b ON t (b)",)),
)
THIRD = replace(FIRST, migrations=(ADD_B, INDEX_B))


def schema_of(path: Path) -> tuple[int, list[str]]:
    """The number in the file, and what its tables and columns are."""
    with closing(sqlite3.connect(path)) as db:
        (version,) = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        columns = [name for (name,) in db.execute("SELECT name FROM pragma_table_info('t')")]
        return version, columns + [name for (name,) in db.execute("SELECT name FROM pragma_index_list('t')")]


def test_an_older_file_takes_each_step_once_and_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with closing(FIRST.open_read_write(path)) as db, db:
        db.execute("INSERT INTO t VALUES (7)")
    assert schema_of(path) == (1, ["a"])
    for _ in range(2):
        with closing(THIRD.open_read_write(path)) as db:
            assert db.execute("SELECT a, b FROM t").fetchall() == [(7, None)]
        assert schema_of(path) == (3, ["a", "b", "t_b"])


def test_a_new_file_is_as_one_that_took_the_steps(tmp_path: Path) -> None:
    THIRD.open_read_write(tmp_path / "s.db").close()
    assert schema_of(tmp_path / "s.db") == (3, ["a", "b", "t_b"])


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    FIRST.open_read_write(path).close()
    with pytest.raises(DfmonError, match="cannot use"):
        replace(THIRD, migrations=(*THIRD.migrations, Migration("no step", ("no SQL",)))).open_read_write(path)
    assert schema_of(path) == (1, ["a"])


def test_an_older_file_is_read_without_being_changed(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    FIRST.open_read_write(path).close()
    THIRD.open_read_only(path).close()
    assert schema_of(path) == (1, ["a"])


def test_a_newer_file_is_refused_in_a_sentence_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    THIRD.open_read_write(path).close()
    message = (
        rf"^{path} is a store of a newer dfmon, in schema 3, and this one reads up to 1: "
        "update dfmon, or move the file away to begin a new one$"
    )
    for open_file in (FIRST.open_read_write, FIRST.open_read_only):
        with pytest.raises(DfmonError, match=message):
            open_file(path)
    assert schema_of(path) == (3, ["a", "b", "t_b"])


@pytest.mark.parametrize("damage", ["UPDATE meta SET value = 'x'", "UPDATE meta SET value = 0", "DELETE FROM meta"])
def test_a_file_without_a_schema_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "s.db"
    with closing(FIRST.open_read_write(path)) as db, db:
        db.execute(damage)
    with pytest.raises(DfmonError, match="is a store without a schema: move it away"):
        THIRD.open_read_write(path)


def test_a_step_of_another_branch_with_the_same_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    replace(FIRST, migrations=(ADD_B,)).open_read_write(path).close()
    other = replace(FIRST, migrations=(ADD_C,))
    for open_file in (other.open_read_write, other.open_read_only):
        with pytest.raises(
            DfmonError, match=f"^{path} is a store of another dfmon, with the step 'add b' that this one"
        ):
            open_file(path)
    assert schema_of(path) == (2, ["a", "b"])


def test_a_program_that_knows_both_branches_takes_the_steps_that_a_file_lacks(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    replace(FIRST, migrations=(ADD_C,)).open_read_write(path).close()
    both = replace(FIRST, migrations=(ADD_B, ADD_C))
    both.open_read_write(path).close()
    assert schema_of(path) == (3, ["a", "c", "b"])
    both.open_read_write(path).close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT number, name FROM steps").fetchall() == [(1, "add b"), (2, "add c")]


def test_a_schema_whose_steps_have_no_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with closing(FIRST.open_read_write(path)) as db, db:
        db.execute("UPDATE meta SET value = 2")
    with pytest.raises(DfmonError, match="with the step 'without a name' that this one does not know"):
        THIRD.open_read_write(path)


@pytest.mark.parametrize(
    ("code", "is_damage"),
    [
        (sqlite3.SQLITE_FULL, False), (sqlite3.SQLITE_READONLY, False), (sqlite3.SQLITE_BUSY_SNAPSHOT, False),
        (sqlite3.SQLITE_CANTOPEN, False), (sqlite3.SQLITE_CORRUPT, True), (sqlite3.SQLITE_NOTADB, True),
    ],
)  # fmt: skip
def test_a_full_disk_or_a_busy_file_is_no_damage(code: int, is_damage: bool) -> None:
    """Else the file would be moved aside."""
    exc = sqlite3.OperationalError("as SQLite says")
    exc.sqlite_errorcode = code
    assert describe_damage(exc) == ("as SQLite says" if is_damage else "")
