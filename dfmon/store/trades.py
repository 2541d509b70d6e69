"""The store of option prints, keyed by option and trade number, so that prints are unique and histories resumable.

Filled from the archive and from the live feed; read at the next start instead of the network. Options are deleted some
time after their expiry.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from dfmon.model.events import OptionTrade
from dfmon.model.units import DAY, MILLISECOND, NAN
from dfmon.store.buffered_writer import FLUSH_INTERVAL_S, BufferedWriter
from dfmon.store.database import DatabaseSchema, StoreError

_MAX_PENDING: Final = 200_000  # prints buffered while another process has the database locked
_COLUMNS: Final = "trade_id, seq, exch_ns, side, price, size, iv, rate, block, rfq, combo, liquidation, event_id"
_CREATE_SQL: Final = f"""
    CREATE TABLE options (
        id INTEGER PRIMARY KEY, name TEXT UNIQUE, underlying TEXT, expiry_ns INTEGER, read_ns INTEGER DEFAULT 0
    );
    CREATE TABLE prints (option INTEGER, {_COLUMNS}, PRIMARY KEY (option, seq)) WITHOUT ROWID;
"""
_INSERT_PRINTS: Final = f"INSERT OR IGNORE INTO prints (option, {_COLUMNS}) VALUES ({', '.join('?' * 14)})"

TradeRow = tuple[Any, ...]  # a print without venue and name, in the order of OptionTrade


class TradeStoreError(StoreError):
    """Prints cannot be stored; the monitor works without, and reads the archive at every start."""


TRADES_SCHEMA: Final = DatabaseSchema("trade store", 0x64666D74, _CREATE_SQL, TradeStoreError)  # "dfmt"


class StoredTrades(NamedTuple):
    """Stored prints of an option: 1 to `contiguous_count` without a gap, and the time of the newest print.

    `read_ns` is when its history was last read to the end from the archive, 0 for never.
    """

    underlying: str
    contiguous_count: int
    newest_ns: int
    read_ns: int


class OptionKey(NamedTuple):
    """An option whose prints are stored."""

    name: str
    underlying: str
    expiry_ns: int


_SummaryRow = tuple[str, str, int | None, int | None, int, int | None, int, int]
PendingRow = tuple[OptionKey, TradeRow | None, int]  # option, print, and `read_ns` if its history ends with this print


class TradeStore(BufferedWriter[PendingRow]):
    """The one writer of a file. Raises TradeStoreError if the file cannot be used; `failure` has later errors."""

    def __init__(
        self,
        path: Path,
        *,
        keep_days: float = 35.0,
        clock: Callable[[], int] = time.time_ns,
        flush_interval_s: float | None = FLUSH_INTERVAL_S,
    ) -> None:
        """`keep_days`: days that prints are kept after expiry. With `flush_interval_s` None the caller flushes."""
        self._expired_before_ns = clock() - int(keep_days * DAY)
        self._ids: dict[str, int] = {}
        super().__init__(
            TRADES_SCHEMA,
            path,
            max_pending=_MAX_PENDING,
            failure_prefix="prints are no longer stored",
            flush_interval_s=flush_interval_s,
        )

    # ---- writing -----------------------------------------------------------------------------------------------------

    def append_trades(self, option: OptionKey, trades: Sequence[OptionTrade], read_ns: int = 0) -> None:
        """Takes prints for the next flush; those that are stored already are ignored. No I/O; never raises.

        `read_ns`: when the history of the option was read to the end, if it ends with these prints.
        """
        rows: list[TradeRow | None] = [row_from_trade(trade) for trade in trades]
        if not rows and read_ns:
            rows = [None]
        # The history counts as read once its last print is written.
        self._enqueue([(option, row, read_ns if at == len(rows) else 0) for at, row in enumerate(rows, 1)])

    # ---- reading -----------------------------------------------------------------------------------------------------

    def stored(self) -> dict[str, StoredTrades]:
        """The stored prints of each option, in summary."""
        query = """
            SELECT name, underlying, min(seq), max(seq), count(seq), max(exch_ns), id, read_ns
            FROM options LEFT JOIN prints ON id = option GROUP BY id
        """

        def read() -> dict[str, StoredTrades]:
            found = msgspec.convert(self._db.execute(query).fetchall(), list[_SummaryRow])
            return {
                name: StoredTrades(
                    underlying,
                    count if first_seq == 1 and count == last_seq else self._contiguous_count(option, first_seq),
                    newest or 0,
                    read_ns,
                )
                for name, underlying, first_seq, last_seq, count, newest, option, read_ns in found
            }

        return self._read(read, {})

    def newest_ms(self) -> dict[str, int]:
        """The time of the newest print, by underlying."""
        query = "SELECT underlying, max(exch_ns) FROM prints JOIN options ON id = option GROUP BY underlying"

        def read() -> dict[str, int]:
            found = msgspec.convert(self._db.execute(query).fetchall(), list[tuple[str, int]])
            return {underlying: newest // MILLISECOND for underlying, newest in found}

        return self._read(read, {})

    def read_rows(self, name: str, count: int) -> list[TradeRow]:
        """The first `count` prints of an option, in order."""
        query = f"SELECT {_COLUMNS} FROM prints JOIN options ON id = option WHERE name = ? AND seq <= ? ORDER BY seq"
        return self._read(lambda: [_decode_row(row) for row in self._db.execute(query, (name, count))], [])

    def drop_options(self, names: Iterable[str]) -> None:
        """Deletes the prints of options, which turned out to be of another market."""

        def drop() -> None:
            with self._db:
                for name in names:
                    query = "DELETE FROM prints WHERE option = (SELECT id FROM options WHERE name = ?)"
                    self._db.execute(query, (name,))
                    self._db.execute("UPDATE options SET read_ns = 0 WHERE name = ?", (name,))

        self._read(drop, None)

    # ---- behind the buffer -------------------------------------------------------------------------------------------

    def _clean_up(self) -> None:
        """Deletes options that expired long ago."""
        expired = "SELECT id FROM options WHERE expiry_ns < ?"
        self._db.execute(f"DELETE FROM prints WHERE option IN ({expired})", (self._expired_before_ns,))
        self._db.execute("DELETE FROM options WHERE expiry_ns < ?", (self._expired_before_ns,))

    def _write_items(self, items: list[PendingRow]) -> None:
        rows = [(self._option_id(option), *row) for option, row, _ in items if row is not None]
        times = [(read_ns, self._option_id(option)) for option, _, read_ns in items if read_ns]
        self._db.executemany(_INSERT_PRINTS, rows)
        self._db.executemany("UPDATE options SET read_ns = ? WHERE id = ?", times)

    def _on_rollback(self) -> None:
        self._ids.clear()

    def _option_id(self, option: OptionKey) -> int:
        """The row id of an option, which is added if it is new."""
        option_id = self._ids.get(option.name)
        if option_id is None:
            self._db.execute("INSERT OR IGNORE INTO options (name, underlying, expiry_ns) VALUES (?, ?, ?)", option)
            found = self._db.execute("SELECT id FROM options WHERE name = ?", (option.name,)).fetchone()
            option_id = self._ids[option.name] = int(found[0])
        return option_id

    def _contiguous_count(self, option: int, first_seq: int | None) -> int:
        """The number of prints from 1 on without a gap."""
        if first_seq != 1:
            return 0
        query = """
            SELECT min(seq) FROM prints AS here WHERE option = ?1
            AND NOT EXISTS (SELECT 1 FROM prints WHERE option = ?1 AND seq = here.seq + 1)
        """
        return int(self._db.execute(query, (option,)).fetchone()[0])


def row_from_trade(trade: OptionTrade) -> TradeRow:
    """A print as it is stored: without venue and name."""
    return (
        trade.trade_id, trade.seq, trade.exch_ns, trade.side, trade.price, trade.size, trade.iv, trade.index,
        trade.block, trade.rfq, trade.combo, trade.liquidation, trade.event_id,
    )  # fmt: skip


def _decode_row(row: TradeRow) -> TradeRow:
    """A row as it was given: SQLite stores NaN as NULL and True as 1."""
    number, seq, ns, side, price, size, iv, rate, block, rfq, combo, liquidation, event = row
    iv, rate = NAN if iv is None else iv, NAN if rate is None else rate
    return number, seq, ns, side, price, size, iv, rate, bool(block), bool(rfq), bool(combo), liquidation, event
