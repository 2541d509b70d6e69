"""Option prints kept for good: by option and number, so that no print is kept twice and a history can be gone on with.

Filled from the archive and from the live feed; read at the next start instead of the network. `append` only buffers; a
thread writes once a second, in transactions of bounded size, so a kill at any moment leaves whole pages and nothing
else. Options that have expired are forgotten after a while. Without a usable database there is a reason, no store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from dfmon.model.errors import DfmonError
from dfmon.model.events import OptionTrade
from dfmon.model.units import DAY, MILLISECOND, NAN
from dfmon.store.database import TROUBLE, Layout, is_busy

_EVERY_S: Final = 1.0
_MOST_PENDING: Final = 200_000  # prints kept while another process holds the database
_BATCH: Final = 20_000  # prints a transaction
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


class TradeStore:
    """One writer. Raises TradeStoreError where the file cannot be used; later trouble is told in `failed`."""

    def __init__(
        self,
        path: Path,
        *,
        keep_days: float = 35.0,
        clock: Callable[[], int] = time.time_ns,
        every_s: float | None = _EVERY_S,
    ) -> None:
        """`keep_days` is how long prints outlive their option. `every_s` None leaves flushing to the caller."""
        self.dropped = 0
        self.failed: str | None = None
        self._path = path
        self._pending: list[tuple[Named, Row]] = []
        self._read: dict[Named, int] = {}
        self._buffer, self._file = threading.Lock(), threading.Lock()
        self._ids: dict[str, int] = {}
        self._closing = threading.Event()
        self._db = LAYOUT.open_read_write(path)
        try:
            self._forget(clock() - int(keep_days * DAY))
        except BaseException:
            self._db.close()
            raise
        self._thread = threading.Thread(target=self._run, args=(every_s,), name="dfmon-trades", daemon=True)
        if every_s is not None:
            self._thread.start()

    # ---- writing -----------------------------------------------------------------------------------------------------

    def append(self, option: Named, trades: Sequence[OptionTrade], read_ns: int = 0) -> None:
        """Take prints for the next flush; those that are kept already are passed over. No I/O; never raises.

        `read_ns`: with these prints the history of the option has been read to its end, at this time.
        """
        rows = [(option, row_of(trade)) for trade in trades]
        with self._buffer:
            if self.failed is not None or len(self._pending) + len(rows) > _MOST_PENDING:
                self.dropped += len(rows)
                return
            self._pending += rows
            if read_ns:
                self._read[option] = read_ns

    def flush(self) -> None:
        """Write what was appended. Never raises: see `failed`.

        A database that another process holds is tried again at the next flush; any other trouble ends the keeping.
        """
        with self._file:
            with self._buffer:
                rows, self._pending = self._pending, []
                read, self._read = self._read, {}
            if self.failed is not None or not (rows or read):
                return
            for start in range(0, max(len(rows), 1), _BATCH):
                part = rows[start : start + _BATCH]
                try:
                    with self._db:
                        self._db.execute("BEGIN IMMEDIATE")
                        self._db.executemany(_INSERT, [(self._id(option), *row) for option, row in part])
                        if start + _BATCH >= len(rows):  # a history counts as read when all its prints are written
                            self._mark(read)
                except TROUBLE as exc:
                    self._trouble(exc, rows[start:], read)
                    return

    def close(self) -> None:
        """Flush and close. Safe to call twice."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(10.0)
        self.flush()
        with self._file, self._buffer:
            self.dropped += len(self._pending)
            self._pending = []
            self.failed = self.failed or "the trade store is closed"
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

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

    def _run(self, every_s: float) -> None:
        while not self._closing.wait(every_s):
            self.flush()

    def _id(self, option: Named) -> int:
        """The number of an option, given to it by the first print."""
        number = self._ids.get(option.name)
        if number is None:
            self._db.execute("INSERT OR IGNORE INTO options (name, underlying, expiry_ns) VALUES (?, ?, ?)", option)
            found = self._db.execute("SELECT id FROM options WHERE name = ?", (option.name,)).fetchone()
            number = self._ids[option.name] = int(found[0])
        return number

    def _mark(self, read: dict[Named, int]) -> None:
        times = [(ns, self._id(option)) for option, ns in read.items()]
        self._db.executemany("UPDATE options SET read_ns = ? WHERE id = ?", times)

    def _whole(self, option: int, low: int | None) -> int:
        """How many prints there are from number 1 on without a gap."""
        if low != 1:
            return 0
        query = """
            SELECT min(seq) FROM prints AS here WHERE option = ?1
            AND NOT EXISTS (SELECT 1 FROM prints WHERE option = ?1 AND seq = here.seq + 1)
        """
        return int(self._db.execute(query, (option,)).fetchone()[0])

    def _forget(self, before_ns: int) -> None:
        """Remove the options that expired before `before_ns`."""
        gone = "SELECT id FROM options WHERE expiry_ns < ?"
        with LAYOUT.explained(self._path), self._db:
            self._db.execute(f"DELETE FROM prints WHERE option IN ({gone})", (before_ns,))
            self._db.execute("DELETE FROM options WHERE expiry_ns < ?", (before_ns,))

    def _trouble(self, exc: Exception, rows: list[tuple[Named, Row]], read: dict[Named, int]) -> None:
        self._ids.clear()  # the transaction is undone, and with it any number it gave
        with self._buffer:
            if is_busy(exc):
                self._pending = rows + self._pending
                self._read = read | self._read
                return
            self.dropped += len(rows) + len(self._pending)
            self._pending = []
            self.failed = f"prints are no longer kept: {LAYOUT.reason(self._path, exc)}"


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
