"""Positions of record: a dated file of the dealer book each day, and a chain of hashes that shows what was changed.

Each file has a row an option, and the snapshot without its tables (roll-ups, flip, regime, version) in its metadata.
`books.jsonl` has a line a file with its SHA-256, and the hash of the line before. Who keeps the hash of the last line
elsewhere can show that nothing before it was changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from dfmon.evidence.hash_chain import HashChain
from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.snapshot import Detail, FlowSnapshot, to_json
from dfmon.model.tables import PositionRow, Sources
from dfmon.model.units import sanitize
from dfmon.store.history_export import FileKind
from dfmon.store.table_files import OutputFile
from dfmon.version import __version__

CHAIN_NAME: Final = "books.jsonl"
_SUFFIX: Final = ".parquet"
_COLUMNS: Final[dict[str, FileKind]] = {
    "name": "text", "expiry": "text", "strike": "real", "option_type": "text", "open_interest": "real", "net": "real",
    "lo": "real", "hi": "real", "p_long": "real", "seen": "real", "last_ns": "time", "full_history": "integer",
    "printed": "real", "lost": "real", "change": "real", "unexplained": "real",
}  # fmt: skip
_SOURCES: Final = Sources.__struct_fields__


class _Line(NamedTuple):
    """A line of the chain: a file, its hash, and the time of its snapshot."""

    file: str
    sha256: str
    ts: str


class Recorded(NamedTuple):
    """A file of record, the hash of its line, and False where the day was recorded before."""

    file: str
    head: str
    is_new: bool


def record_book(folder: Path, snapshot: FlowSnapshot, clock: Callable[[], int]) -> Recorded:
    """Writes the book of the snapshot's day, once for an underlying and position model. Raises DfmonError."""
    if find_spec("pyarrow") is None:
        raise UsageError("dfmon record-book writes Parquet, which needs pyarrow: pip install 'dfmon[parquet]'")
    if snapshot.state == "stale":
        raise DfmonError(f"the data of {snapshot.underlying} are stale: nothing is recorded")
    if not isinstance(snapshot.detail, Detail) or not snapshot.detail.positions:
        raise DfmonError(f"the snapshot of {snapshot.underlying} has no positions: nothing is recorded")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UsageError(f"{sanitize(str(folder))} cannot be written: {(exc.strerror or str(exc)).lower()}") from None
    chain = HashChain(folder / CHAIN_NAME, clock, "chain of books")
    model, day = sanitize(snapshot.positions.model, 20), snapshot.ts[:10]
    file = f"book-{sanitize(snapshot.underlying, 20)}-{model}-{day}{_SUFFIX}"
    if any(entry.get("file") == file for entry in chain.entries):
        return Recorded(file, chain.head, False)
    _write(folder / file, snapshot, chain.head)
    chain.append(_Line(file, _sha256(folder / file), snapshot.ts)._asdict())
    return Recorded(file, chain.head, True)


def _write(path: Path, snapshot: FlowSnapshot, previous: str) -> None:
    assert isinstance(snapshot.detail, Detail)
    header = _COLUMNS | dict.fromkeys(_SOURCES, "real")
    metadata = {
        "dfmon.version": __version__,
        "dfmon.previous": previous,
        "dfmon.snapshot": to_json(snapshot, snapshot.state).decode(),
    }
    rows = [_cells(row) for row in snapshot.detail.positions]
    output = OutputFile(path, header, metadata)
    try:
        output.write({name: [row[name] for row in rows] for name in header})
        output.complete()
    except BaseException:
        output.discard()
        raise


def _cells(row: PositionRow) -> dict[str, Any]:
    cells = {name: getattr(row, name) for name in _COLUMNS}
    cells["full_history"] = None if row.full_history is None else int(row.full_history)
    cells["last_ns"] = row.last_ns or None
    parts = {} if row.sources is None else msgspec.structs.asdict(row.sources)
    return cells | {name: parts.get(name) for name in _SOURCES}


class Verified(NamedTuple):
    """Number of files, the days of the first and the last, and the hash of the last line."""

    files: int
    first: str
    last: str
    head: str


def verify_books(folder: Path, head: str | None, clock: Callable[[], int]) -> Verified:
    """Checks every file of record. Raises DfmonError that names the first one that was changed, removed or put in
    another order; with `head` also where that hash is of no line.
    """
    path = folder / CHAIN_NAME
    if not path.is_file():
        raise UsageError(f"{sanitize(str(folder))} has no {CHAIN_NAME}: no book was recorded there")
    chain = HashChain(path, clock, "chain of books")
    books = [_Line(*(str(entry.get(name, "")) for name in _Line._fields)) for entry in chain.entries]
    hashes = {line.sha256: line.file for line in books}
    for line in books:
        _check_file(folder / Path(line.file).name, line.sha256, hashes)
    if stray := sorted({file.name for file in folder.glob(f"book-*{_SUFFIX}")} - set(hashes.values())):
        raise DfmonError(f"{stray[0]} is in no line of {CHAIN_NAME}: it was put there, or its line was removed")
    known = {str(entry["prev"]) for entry in chain.entries} | {chain.head}
    if head is not None and head not in known:
        raise DfmonError(f"{CHAIN_NAME} has no line of the hash {sanitize(head, 64)}: lines behind it were changed")
    if not books:
        raise DfmonError(f"{CHAIN_NAME} has no line of a book")
    return Verified(len(books), books[0].ts[:10], books[-1].ts[:10], chain.head)


def _check_file(path: Path, expected: str, hashes: dict[str, str]) -> None:
    if not path.is_file():
        raise DfmonError(f"{path.name} is missing")
    found = _sha256(path)
    if found == expected:
        return
    other = hashes.get(found)
    raise DfmonError(f"{path.name} was changed" + ("" if other is None else f": it has the content of {other}"))


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise DfmonError(f"{sanitize(str(path))} cannot be read: {exc.strerror or exc}") from None
