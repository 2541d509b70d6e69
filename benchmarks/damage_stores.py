"""Random damages of the files that a monitor keeps, each followed by a start that must succeed and go on.

    python benchmarks/damage_stores.py [--damages 1000] [--seed 1]

The stores are option prints, history, positions and recordings. A damage is a run of random, zero or repeated bytes, a
torn end, an emptied or a replaced file. A start opens the store as a session does, reads, writes and closes it.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, Protocol

from dfmon.core.step import FlowState
from dfmon.engine.checkpoint import PositionsCheckpoint
from dfmon.engine.journal import Record, RecordKind
from dfmon.model.events import OptionTrade
from dfmon.model.snapshot import MetricRow
from dfmon.model.units import HOUR, SECOND
from dfmon.store.history import History, HistoryReader
from dfmon.store.history_file import HistoryError
from dfmon.store.positions_state import PositionsStateFile
from dfmon.store.recorder import Recorder
from dfmon.store.trades import OptionKey, TradeStore
from dfmon.venues.decoding import UNREADABLE
from dfmon.venues.stored_prints import decode_stored, encode_stored

START_NS: Final = 1_795_305_600 * SECOND
OPTIONS: Final = tuple(
    OptionKey(f"BTC-27NOV26-{strike}-C", "BTC", START_NS + 24 * HOUR) for strike in range(80_000, 100_000, 1000)
)


def history_row(number: int) -> MetricRow:
    values: dict[str, object] = dict.fromkeys(MetricRow.__struct_fields__, 1.5)
    return MetricRow(**(values | {"ts_ns": START_NS + number * 60 * SECOND, "bucket": 2}))  # type: ignore[arg-type]


def option_print(name: str, seq: int) -> OptionTrade:
    return OptionTrade(
        "deribit",
        name,
        f"{name}-{seq}",
        seq,
        START_NS + seq * SECOND,
        1,
        0.05,
        1.0,
        0.6,
        9e4,
        False,
        False,
        False,
        "",
        "",
    )


def copy_as_after_a_kill(folder: Path) -> None:
    """Copies an open database with its journal, as a kill would leave them."""
    for path in (folder / "open").iterdir():
        shutil.copy(path, folder)


class Store(Protocol):
    def make(self, folder: Path) -> None:
        """Writes a whole store."""

    def start(self, folder: Path) -> str | None:
        """Opens it, goes on, and returns what it says about damage."""


class Trades:
    file = "trades.sqlite"

    def make(self, folder: Path) -> None:
        with TradeStore(folder / "open" / self.file, clock=lambda: START_NS, flush_interval_s=None) as store:
            for option in OPTIONS:
                store.append_trades(option, [option_print(option.name, seq) for seq in range(1, 60)], START_NS)
            store.flush()
            copy_as_after_a_kill(folder)

    def start(self, folder: Path) -> str | None:
        with TradeStore(folder / self.file, clock=lambda: START_NS, flush_interval_s=None) as store:
            store.newest_ms()
            for name, stored in store.stored().items():
                try:
                    decode_stored("deribit", name, encode_stored(store.read_rows(name, stored.contiguous_count)))
                except UNREADABLE:
                    store.drop_options([name])
            option = OPTIONS[0]._replace(name="BTC-27NOV26-50000-P")
            store.append_trades(option, [option_print(option.name, 1)])
            store.flush()
            assert store.failure is None, store.failure
            assert store.stored()[option.name].contiguous_count == 1
            return store.notice


class Histories:
    file = "history.sqlite"

    def make(self, folder: Path) -> None:
        path = folder / "open" / self.file
        with History(path, clock=lambda: START_NS + 6 * HOUR, flush_interval_s=None) as history:
            for number in range(330):
                history.append_row("BTC", history_row(number))
                history.append_row("ETH", history_row(number))
            history.flush()
            copy_as_after_a_kill(folder)

    def start(self, folder: Path) -> str | None:
        with History(folder / self.file, clock=lambda: START_NS + 6 * HOUR, flush_interval_s=None) as history:
            try:
                with HistoryReader(folder / self.file) as reader:
                    reader.rows_since("BTC", 0)
            except HistoryError:
                pass
            for number in range(330, 400):
                history.append_row("BTC", history_row(number))
            history.flush()
            assert history.failure is None, history.failure
            return history.notice


class PositionsFiles:
    file = "positions.state"

    def _checkpoint(self) -> PositionsCheckpoint:
        return PositionsCheckpoint.from_states("host", "priors", START_NS, {"BTC": FlowState.initial()}, None)

    def make(self, folder: Path) -> None:
        PositionsStateFile(folder / self.file, "host", "priors").save(self._checkpoint())

    def start(self, folder: Path) -> str | None:
        state = PositionsStateFile(folder / self.file, "host", "priors")
        state.lock()
        state.load()
        error = state.error
        state.save(self._checkpoint())
        state.close()
        assert state.error is None, state.error
        return error


class Recordings:
    file = "recording"

    def _record(self, folder: Path) -> None:
        with Recorder(folder, {"dfmon": "1"}, lambda: START_NS, keep_bytes=8 << 20) as recorder:
            for seq in range(50):
                recorder.offer(Record(seq, START_NS + seq, RecordKind.FRAME, "deribit", b'{"x":1}' * 20))
            assert recorder.flush(), recorder.failure

    def make(self, folder: Path) -> None:
        self._record(folder / self.file)

    def start(self, folder: Path) -> str | None:
        self._record(folder / self.file)
        return None


STORES: Final[dict[str, Store]] = {
    "trades": Trades(),
    "history": Histories(),
    "positions": PositionsFiles(),
    "recordings": Recordings(),
}


def damage(path: Path, rng: random.Random) -> str:
    """Damages one file; returns how."""
    data = bytearray(path.read_bytes())
    size = len(data)
    at, length = rng.randrange(max(1, size)), rng.choice((1, 16, 512, 4096, 4096, 65536))
    fills: tuple[Callable[[int], bytes], ...] = (rng.randbytes, lambda n: bytes(n), lambda n: bytes(data[:n]))
    fill = rng.choice(fills)
    kind = rng.choice(("bytes", "bytes", "bytes", "bytes", "torn", "torn", "empty", "replaced", "longer"))
    if kind == "bytes":
        data[at : at + length] = fill(min(length, size - at))
    elif kind == "torn":
        del data[at:]
    elif kind == "empty":
        data.clear()
    elif kind == "replaced":
        data[:] = fill(size)
    else:
        data += fill(length)
    path.write_bytes(bytes(data))
    return kind


def run(damages: int, seed: int) -> Counter[str]:
    """The number of starts by store and outcome. Raises the first failure, with its number."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        originals = Path(folder) / "originals"
        for name, store in STORES.items():
            killed, closed = originals / name / "killed", originals / name / "closed"
            killed.mkdir(parents=True)
            store.make(killed)
            shutil.rmtree(killed / "open", ignore_errors=True)
            shutil.copytree(killed, closed)
            for path in closed.glob("*.sqlite"):
                with closing(sqlite3.connect(path)) as db:
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for number in range(damages):
            rng = random.Random(f"{seed}-{number}")
            name = list(STORES)[number % len(STORES)]
            place = Path(folder) / "damaged"
            shutil.copytree(originals / name / rng.choice(("killed", "closed")), place)
            files = sorted(path for path in place.rglob("*") if path.is_file())
            kind = damage(rng.choice(files), rng)
            try:
                notice = STORES[name].start(place)
            except BaseException as exc:
                raise AssertionError(f"damage {number} of seed {seed} ({name}, {kind}): {exc!r}") from exc
            found[f"{name}: {'moved aside' if notice else 'used'}"] += 1
            moved = list(place.rglob("*.damaged-*"))
            assert bool(moved) == (notice is not None and "moved to" in notice), (number, notice, moved)
            shutil.rmtree(place)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--damages", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    found = run(args.damages, args.seed)
    for outcome, count in sorted(found.items()):
        print(f"{outcome}: {count}")
    print(f"{sum(found.values())} starts of {args.damages}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
