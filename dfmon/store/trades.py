"""Option prints kept for good: by option and number, so that no print is kept twice and a history can be gone on with.

Filled from the archive and from the live feed; read at the next start instead of the network. `append` only buffers; a
thread writes once a second, in transactions of bounded size, so a kill at any moment leaves whole pages and nothing
else. Options that have expired are forgotten after a while. Without a usable database there is a reason, no store.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from dfmon.model.errors import DfmonError
from dfmon.model.events import OptionTrade
from dfmon.model.units import DAY, MILLISECOND, NAN
from dfmon.store.buffered import EVERY_S, Buffered
from dfmon.store.database import Layout

_MOST_PENDING: Final = 200_000  # prints kept while another process holds the database
_COLUMNS: Final = "trade_id, seq, exch_ns, side, price, size, iv, rate, block, rfq, combo, liquidation, event_id"
_CREATE: Final = f"""
    CREATE TABLE options (
        id INTEGER PRIMARY KEY, name TEXT UNIQUE, underlying TEXT, expiry_ns INTEGER, read_ns INTEGER DEFAULT 0
    );
    CREATE TABLE prints (option INTEGER, {_COLUMNS}, PRIMARY KEY (option, seq)) WITHOUT ROWID;
"""
_INSERT: Final = f"INSERT OR IGNORE INTO prints (option, {_COLUMNS}) VALUES ({', '.join('?' * 14)})"

Row = tuple[Any, ...]  # a print without venue and name, in the order of OptionTrade


class TradeStoreError(DfmonError):
    """Prints cannot be kept; the monitor goes on without, and reads the archive at every start."""


LAYOUT: Final = Layout("trade store", 0x64666D74, 1, _CREATE, TradeStoreError)  # "dfmt"


class Kept(NamedTuple):
    """What is kept of an option: prints 1 to `whole` without a gap, and the time of the newest of any number.

    `read_ns` is when its history was last read to its end from the archive, 0 for never.
    """

    underlying: str
    whole: int
    newest_ns: int
    read_ns: int


class Named(NamedTuple):
    """An option whose prints are kept."""

    name: str
    underlying: str
    expiry_ns: int


Item = tuple[Named, Row | None, int]  # of an option a print, and where its history has been read with it: when


class TradeStore(Buffered[Item]):
    """One writer. Raises TradeStoreError where the file cannot be used; later trouble is told in `failed`."""

    def __init__(
        self,
        path: Path,
        *,
        keep_days: float = 35.0,
        clock: Callable[[], int] = time.time_ns,
        every_s: float | None = EVERY_S,
    ) -> None:
        """`keep_days` is how long prints outlive their option. `every_s` None leaves flushing to the caller."""
        self._forgotten_ns = clock() - int(keep_days * DAY)
        self._ids: dict[str, int] = {}
        super().__init__(LAYOUT, path, most=_MOST_PENDING, stopped="prints are no longer kept", every_s=every_s)

    # ---- writing -----------------------------------------------------------------------------------------------------

    def append(self, option: Named, trades: Sequence[OptionTrade], read_ns: int = 0) -> None:
        """Take prints for the next flush; those that are kept already are passed over. No I/O; never raises.

        `read_ns`: with these prints the history of the option has been read to its end, at this time.
        """
        rows: list[Row | None] = [row_of(trade) for trade in trades]
        if not rows and read_ns:
            rows = [None]
        # A history counts as read when the last of its prints is written.
        self._take([(option, row, read_ns if at == len(rows) else 0) for at, row in enumerate(rows, 1)])

    # ---- reading -----------------------------------------------------------------------------------------------------

    def kept(self) -> dict[str, Kept]:
        """What is kept, by option."""
        query = """
            SELECT name, underlying, min(seq), max(seq), count(seq), max(exch_ns), id, read_ns
            FROM options LEFT JOIN prints ON id = option GROUP BY id
        """
        self.flush()
        with self._file, LAYOUT.explained(self._path):
            found = self._db.execute(query).fetchall()
            return {
                name: Kept(
                    underlying, count if low == 1 and count == high else self._whole(option, low), newest or 0, read
                )
                for name, underlying, low, high, count, newest, option, read in found
            }

    def newest_ms(self) -> dict[str, int]:
        """The time of the newest print kept, by underlying."""
        query = "SELECT underlying, max(exch_ns) FROM prints JOIN options ON id = option GROUP BY underlying"
        self.flush()
        with self._file, LAYOUT.explained(self._path):
            return {underlying: newest // MILLISECOND for underlying, newest in self._db.execute(query)}

    def read(self, name: str, count: int) -> list[Row]:
        """The first `count` prints of an option, in order."""
        query = f"SELECT {_COLUMNS} FROM prints JOIN options ON id = option WHERE name = ? AND seq <= ? ORDER BY seq"
        self.flush()
        with self._file, LAYOUT.explained(self._path):
            return [_read(row) for row in self._db.execute(query, (name, count))]

    def drop(self, names: Iterable[str]) -> None:
        """Forget options whose prints turned out to be of another market."""
        with self._file, LAYOUT.explained(self._path), self._db:
            for name in names:
                self._db.execute("DELETE FROM prints WHERE option = (SELECT id FROM options WHERE name = ?)", (name,))
                self._db.execute("UPDATE options SET read_ns = 0 WHERE name = ?", (name,))

    # ---- behind the buffer -------------------------------------------------------------------------------------------

    def _tidy(self) -> None:
        """Remove the options that have expired long ago."""
        gone = "SELECT id FROM options WHERE expiry_ns < ?"
        self._db.execute(f"DELETE FROM prints WHERE option IN ({gone})", (self._forgotten_ns,))
        self._db.execute("DELETE FROM options WHERE expiry_ns < ?", (self._forgotten_ns,))

    def _write(self, items: list[Item]) -> None:
        rows = [(self._id(option), *row) for option, row, _ in items if row is not None]
        times = [(read_ns, self._id(option)) for option, _, read_ns in items if read_ns]
        self._db.executemany(_INSERT, rows)
        self._db.executemany("UPDATE options SET read_ns = ? WHERE id = ?", times)

    def _undone(self) -> None:
        self._ids.clear()

    def _id(self, option: Named) -> int:
        """The number of an option, given to it by the first print."""
        number = self._ids.get(option.name)
        if number is None:
            self._db.execute("INSERT OR IGNORE INTO options (name, underlying, expiry_ns) VALUES (?, ?, ?)", option)
            found = self._db.execute("SELECT id FROM options WHERE name = ?", (option.name,)).fetchone()
            number = self._ids[option.name] = int(found[0])
        return number

    def _whole(self, option: int, low: int | None) -> int:
        """How many prints there are from number 1 on without a gap."""
        if low != 1:
            return 0
        query = """
            SELECT min(seq) FROM prints AS here WHERE option = ?1
            AND NOT EXISTS (SELECT 1 FROM prints WHERE option = ?1 AND seq = here.seq + 1)
        """
        return int(self._db.execute(query, (option,)).fetchone()[0])


def row_of(trade: OptionTrade) -> Row:
    """A print as it is kept: all of it but venue and name."""
    return (
        trade.trade_id, trade.seq, trade.exch_ns, trade.side, trade.price, trade.size, trade.iv, trade.index,
        trade.block, trade.rfq, trade.combo, trade.liquidation, trade.event_id,
    )  # fmt: skip


def _read(row: Row) -> Row:
    """A row as it was kept: SQLite makes NULL of NaN and 1 of True."""
    number, seq, ns, side, price, size, iv, rate, block, rfq, combo, liquidation, event = row
    iv, rate = NAN if iv is None else iv, NAN if rate is None else rate
    return number, seq, ns, side, price, size, iv, rate, bool(block), bool(rfq), bool(combo), liquidation, event
