"""The interface of a history, which the embedded store and ClickHouse have alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from dfmon.model.snapshot import MetricRow
from dfmon.store.history_file import COLUMNS, Column
from dfmon.store.history_records import Record
from dfmon.store.history_rollups import MAX_NS, RollUps
from dfmon.store.history_tables import ROLLED_COLUMNS, Span


class HistoryWriter(Protocol):
    """A writer that never delays its caller.

    `failure` has ended it, `waiting` is why rows wait, `dropped` counts rows that are lost.
    """

    dropped: int
    failure: str | None
    notice: str | None
    waiting: str | None

    def append_row(self, underlying: str, row: MetricRow) -> None: ...
    def append_records(self, records: Iterable[Record]) -> None: ...
    def close(self) -> None: ...


class HistorySource(Protocol):
    """A reader. Its methods are described where the embedded one has them."""

    def underlyings(self) -> tuple[str, ...]: ...
    def columns(
        self, underlying: str, since_ns: int, names: Sequence[str] = COLUMNS, until_ns: int = MAX_NS
    ) -> dict[str, Column]: ...
    def rows_since(self, underlying: str, ts_ns: int) -> list[MetricRow]: ...
    def rollups(
        self,
        underlying: str,
        span: Span,
        since_ns: int,
        names: Sequence[str] = ROLLED_COLUMNS,
        until_ns: int = MAX_NS,
    ) -> RollUps: ...
    def records(
        self, table: str, underlying: str, since_ns: int = 0, until_ns: int = MAX_NS
    ) -> Iterator[tuple[Any, ...]]: ...
    def time_range(self, table: str, underlying: str) -> tuple[int, int] | None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None: ...
