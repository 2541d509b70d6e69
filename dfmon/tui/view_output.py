"""Export of the view in front: its table, whole where the screen rounds and cuts, or the screen as text or SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from dfmon.engine.view_tables import Cell, ViewTable, view_table
from dfmon.model.errors import UsageError
from dfmon.model.locator import Locator, make_locator
from dfmon.model.snapshot import MetricRow
from dfmon.model.units import iso, sanitize
from dfmon.sinks.view_text import View, as_csv
from dfmon.store.history_export import FileKind
from dfmon.store.table_files import ParquetWriter
from dfmon.tui.locators import locator_of
from dfmon.tui.metric_series import rows_since
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.own_book import shown_book

TABLE_SUFFIXES: Final = (".csv", ".json", ".parquet")
EXPORT_SUFFIXES: Final = (*TABLE_SUFFIXES, ".txt", ".svg")
COPIES: Final = ("csv", "json", "txt")
MAX_CLIPBOARD_BYTES: Final = 56_000  # in base64 what xterm takes; longer ones are dropped in silence
_CHOICES: Final = ("expiry", "strike", "model", "at")
"""Parameters of a locator that an export leaves out: it has all cells of the snapshot on screen."""


class ScreenOutput(NamedTuple):
    """An export: the file, None for the clipboard, and its content, None for the screen itself in `suffix`."""

    suffix: str
    path: Path | None
    content: bytes | None


def named_path(text: str) -> Path:
    """The path that was typed, `~/` as the home directory."""
    return Path(text).expanduser() if text.startswith("~/") else Path(text)


def exported_view(frame: Frame, text: str) -> ScreenOutput:
    """The view for a file, whose suffix chooses the kind. Raises UsageError for another one, and where a file is."""
    path = named_path(text)
    if path.suffix not in EXPORT_SUFFIXES:
        raise UsageError(f'"{sanitize(path.name, 40)}" ends in none of {", ".join(EXPORT_SUFFIXES)}')
    if path.exists():
        raise UsageError(f"{sanitize(str(path), 60)} exists")
    return ScreenOutput(path.suffix, path, encode(frame, path.suffix) if path.suffix in TABLE_SUFFIXES else None)


def copied_view(frame: Frame, kind: str) -> ScreenOutput:
    """The view for the clipboard, in one of COPIES. Raises UsageError where a terminal would not take it."""
    suffix = f".{kind}"
    content = encode(frame, suffix) if suffix in TABLE_SUFFIXES else None
    if content is not None and len(content) > MAX_CLIPBOARD_BYTES:
        raise UsageError(f"{len(content):,} bytes are too many for a terminal: :export FILE{suffix}")
    return ScreenOutput(suffix, None, content)


def encode(frame: Frame, suffix: str) -> bytes:
    """The table of the view as a file of this kind. Raises UsageError without numbers, or without pyarrow."""
    snapshot = frame.snapshot
    if snapshot is None:
        raise UsageError("no numbers yet")
    table = shown_table(frame)
    if suffix == ".csv":
        return as_csv(table).encode()
    head = View(
        "" if frame.view.sheet == "book" else str(locator_of(frame.view, frame)), snapshot.underlying, snapshot.seq,
        snapshot.ts, snapshot.state, snapshot.positions.model, *table, snapshot.unavailable,
    )  # fmt: skip
    if suffix == ".json":
        return msgspec.json.encode(head)
    out, header = io.BytesIO(), dict(zip(table.columns, map(_kind, zip(*table.rows))))
    names = "locator", "underlying", "ts", "state", "model"
    writer = ParquetWriter(out, header, {name: str(getattr(head, name)) for name in names})
    writer.write({name: [_text(cell) for cell in cells] for name, cells in zip(table.columns, zip(*table.rows))})
    writer.close()
    return out.getvalue()


def shown_table(frame: Frame) -> ViewTable:
    """The table of the view in front. Raises UsageError where it has none, or no numbers yet."""
    assert frame.snapshot is not None
    view = frame.view
    if view.sheet == "book":
        return _book(frame)
    if view.sheet == "" and view.panel == "chart":
        return _chart(rows_since(frame.rows, frame.clock_ns - frame.shown_span[1]))
    locator = _unfiltered(locator_of(view, frame))
    table = view_table(frame.snapshot, locator)
    others = [view_table(other, locator).rows for other in frame.others] if locator.screen == "coins" else []
    return ViewTable(table.columns, (*table.rows, *(row for rows in others for row in rows)))


def _unfiltered(locator: Locator) -> Locator:
    """The locator of all cells; that of a smile keeps its expiry."""
    left_out = _CHOICES if locator.screen != "smile" else _CHOICES[1:]
    parameters = {name: value for name, value in locator.parameters if name not in left_out}
    return make_locator(locator.coin, locator.screen, parameters)


def _book(frame: Frame) -> ViewTable:
    found = shown_book(frame)
    if found is None:
        raise UsageError("the own book has no numbers yet")
    columns = "move", "pnl", "delta", "hedge", "dealers", "dealers_lo", "dealers_hi"
    return ViewTable(columns, tuple((*move[:4], *move.dealers) for move in found.moves))


def _chart(rows: Sequence[MetricRow]) -> ViewTable:
    columns = [name for name in MetricRow.__struct_fields__ if name != "ts_ns"]
    lines = ((iso(row.ts_ns), *(_number(getattr(row, name)) for name in columns)) for row in rows)
    return ViewTable(("ts", *columns), tuple(lines))


def _number(value: float) -> float | None:
    return value if value == value else None


def _kind(cells: Sequence[Cell]) -> FileKind:
    """The kind of a column, by its values."""
    known = [cell for cell in cells if cell is not None]
    if any(isinstance(cell, str | bool) for cell in known):
        return "text"
    return "integer" if known and all(isinstance(cell, int) for cell in known) else "real"


def _text(cell: Cell) -> Cell:
    return str(cell).lower() if isinstance(cell, bool) else cell


def write_new_file(path: Path, content: bytes) -> str:
    """Writes a file that is not there yet; returns the notice about it."""
    try:
        with path.open("xb") as out:
            out.write(content)
    except OSError as error:
        return f"not saved: {error.strerror or error}"
    return f"saved {sanitize(str(path.absolute()))}"
