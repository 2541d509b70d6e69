"""A board file of any kind: what it is is found out from its content, and it is read once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dfmon.model.units import iso
from dfmon.store.boards import json_table
from dfmon.store.boards.decode import Decoded
from dfmon.store.boards.events import AnyPath, EventBuilder, RecordedBoard
from dfmon.store.boards.interpreter import Findings, Interpreter
from dfmon.store.boards.opening import Refusal, Source, TableSource, open_source
from dfmon.store.boards.runs import BoardRows
from dfmon.store.boards.table import Table


class Documents(NamedTuple):
    """Decoded JSON in place of a file, and lists of instruments as `references`."""

    documents: Sequence[Any]
    references: Sequence[Any] = ()


class BoardFile:
    """An open board file. Its boards come in order of time; `findings` tell how it was read.

    Raises UsageError if it is no board, SourceError if it is damaged: at once for text, whose rows may be in any order;
    after the last complete board for parquet. `at_ns` is the time of a board whose rows have none, `base` the currency
    of rows without a name or a currency.
    """

    def __init__(self, origin: AnyPath | Documents, at_ns: int | None = None, base: str = "") -> None:
        if isinstance(origin, Documents):
            self._refusal = Refusal(Path("it"))
            table = self._refusal.translate(lambda: json_table.table_of(origin.documents, "JSON", origin.references))
            self._source: Source = TableSource(table, tuple(table.columns), self._refusal, bool(base))
        else:
            self._refusal = Refusal(Path(origin))
            self._source = open_source(Path(origin), self._refusal, bool(base))
        if not self._source.size:
            self._refusal.raise_for(f"is {self._source.matched.layout.phrase} without rows: an option is needed")
        self._at_ns, self._base = at_ns, base.upper()
        self._decoded: tuple[Decoded, list[BoardRows], Table] | None = None
        self._interpreter = self._new_interpreter()
        self._currencies = self._source.currencies()
        if self._currencies is None:
            self._decoded = self._refusal.translate(lambda: self._interpret(next(self._source.tables(None))))
            self._currencies = self._underlyings(self._decoded)

    @property
    def findings(self) -> Findings:
        """Layout, units and counts of the file, as far as it was read."""
        return self._interpreter.findings

    @property
    def currencies(self) -> tuple[str, ...]:
        """The underlyings of the file, sorted."""
        return self._currencies or ()

    def boards(self, underlyings: Collection[str] | None = None) -> Iterator[RecordedBoard]:
        """The boards of the file, one for each time and underlying. Raises UsageError for one that is not in it."""
        return self._boards(self._requested(underlyings), only_last=False)

    def last_boards(
        self, underlyings: Collection[str] | None = None, until_ns: int | None = None
    ) -> tuple[RecordedBoard, ...]:
        """The newest board of each underlying that is not later than `until_ns`. Raises UsageError if there is none."""
        requested = self._requested(underlyings)
        last = {board.underlying: board for board in self._boards(requested, only_last=True, until_ns=until_ns)}
        if until_ns is not None and not last:
            self._refusal.raise_for(f"has no board at or before {iso(until_ns)}")
        return tuple(last.values())

    def _requested(self, underlyings: Collection[str] | None) -> list[str]:
        requested = {name.upper() for name in underlyings or self.currencies}
        if missing := sorted(requested - set(self.currencies)):
            listed = ", ".join(self.currencies) or "none"
            self._refusal.raise_for(f"has no options on {', '.join(missing)}; available: {listed}")
        return sorted(requested)

    def _boards(self, requested: list[str], *, only_last: bool, until_ns: int | None = None) -> Iterator[RecordedBoard]:
        if self._decoded is not None:
            parts = iter((self._decoded,))
            self.findings.reset_counts()
        else:
            self._interpreter = self._new_interpreter()
            parts = map(self._interpret, self._source.tables(requested if only_last else None, until_ns))
        builder = EventBuilder(self.findings)
        for rows, groups, table in parts:
            if only_last:
                earlier, groups = _split_at_last(groups, requested, until_ns)
                builder.note_listed(rows, earlier)
            yield from builder.boards(rows, groups, table.ragged, requested)

    def _new_interpreter(self) -> Interpreter:
        interpreter = Interpreter(self._source.matched, self._source.container, self._at_ns, self._base)
        interpreter.findings.header = self._source.header
        return interpreter

    def _interpret(self, table: Table) -> tuple[Decoded, list[BoardRows], Table]:
        is_first = self.findings.units is None
        column = self._source.iv_column() if is_first else None
        rows, groups = self._refusal.translate(lambda: self._interpreter.interpret(table, column))
        return rows, groups, table

    def _underlyings(self, decoded: tuple[Decoded, list[BoardRows], Table]) -> tuple[str, ...]:
        rows, groups, table = decoded
        found = tuple(sorted({group.underlying for group in groups if group.usable.size}))
        if not found:
            reasons = sorted([(rows.lines[at], reason) for at, reason in rows.errors.items()] + list(table.ragged))
            first = f"{self.findings.row_label} {reasons[0][0]}: {reasons[0][1]}" if reasons else "it is empty"
            self._refusal.raise_for(f"is {self.findings.matched.layout.phrase} without a usable row: {first}")
        return found


def _split_at_last(
    groups: list[BoardRows], requested: list[str], until_ns: int | None
) -> tuple[list[BoardRows], list[BoardRows]]:
    """The groups before and at the newest times of the requested underlyings, none later than `until_ns`."""
    if until_ns is not None:
        groups = [group for group in groups if group.ts_ns <= until_ns]
    newest = {group.underlying: group.ts_ns for group in groups if group.usable.size}
    times = {newest[base] for base in requested if base in newest}
    last = [g for g in groups if g.ts_ns in times and newest.get(g.underlying, g.ts_ns) == g.ts_ns]
    return [g for g in groups if g.ts_ns < newest.get(g.underlying, 0)], last
