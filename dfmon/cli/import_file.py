"""`dfmon import`: files of other origin. CME's settlements are set beside a board; Deribit's trades fill the store."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dfmon.api.board_source import BoardColumns
from dfmon.cli.venue_pairs import pair_lines
from dfmon.config import Config
from dfmon.evidence.cme_file import COINS, CmeFile, read_cme
from dfmon.evidence.naive_book import naive_book
from dfmon.evidence.trade_csv import read_trades
from dfmon.evidence.venue_pairs import boards_of, nearest, pair_boards
from dfmon.model.errors import EXIT_OK, DfmonError, UsageError
from dfmon.model.units import DAY, iso
from dfmon.runtime.stores import exchange_folder
from dfmon.store.trades import OptionKey, TradeStore


def run(args: argparse.Namespace, config: Config) -> int:
    """Imports a file and prints what came of it."""
    path = Path(args.file)
    if args.kind == "cme":
        lines = _cme_lines(read_cme(path), args.board)
    elif args.board is not None:
        raise UsageError("dfmon import deribit-csv takes no --board: its file has prints, not a board")
    else:
        lines = _trade_lines(path, config)
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    return EXIT_OK


def _cme_lines(file: CmeFile, board_path: Path | None) -> Iterator[str]:
    yield f"{file.layout}: open interest is that of the day before"
    yield "it has no sign, and nothing of it is added to dfmon's numbers"
    others = {} if board_path is None else boards_of(board_path)
    for (name, day), board in file.boards.items():
        sizes = ", ".join(f"{code} {coins:g}" for code, (coin, coins) in COINS.items() if coin == name)
        yield f"\n{name} {day}, settled {iso(board.ts_ns)}: coins a contract {sizes}"
        other = nearest(others.get(name, []), board.ts_ns)
        if other is None:
            yield from _book_lines(board)
            if board_path is not None:
                yield f"  {board_path.name} has no board of {name}"
            continue
        if abs(other.ts_ns - board.ts_ns) > DAY:
            yield f"  the nearest board is of {iso(other.ts_ns)}: more than a day apart"
        yield from pair_lines([pair_boards(other, board, name, "instant")], "the board", "CME")
    yield from (f"left out: {count:,} {what}" for what, count in file.skipped.items())
    yield from (f"note: {note}" for note in file.notes)


def _book_lines(board: BoardColumns) -> Iterator[str]:
    assert board.spot is not None
    book = naive_book(board, board.spot, "instant")
    flip = "none" if np.isnan(book.flip) else f"{book.flip:,.0f}"
    yield f"  {board.strike.size:,} options of {np.unique(board.expiry_ns).size} expiries, {book.interest:,.0f} coins"
    yield f"  naive NGI {book.ngi / 1e6:+,.2f} M USD/1 %, gross {book.gross / 1e6:,.2f} M"
    yield f"  nearest future {board.spot:,.2f}, naive flip nearest to it {flip}"


def _trade_lines(path: Path, config: Config) -> Iterator[str]:
    """Prints into the store, as a download would have left them."""
    if not config.history.enabled:
        raise UsageError("import: history.enabled is false, so prints cannot be stored; allowed: true")
    file = read_trades(path)
    target = exchange_folder(config) / "trades.sqlite"
    with TradeStore(target, keep_days=config.history.keep_days, flush_interval_s=None) as store:
        known = len(store.stored().keys() & file.prints.keys())
        for name, prints in file.prints.items():
            terms = file.terms[name]
            store.append_trades(OptionKey(name, terms.base, terms.expiry_ns), [prints[seq] for seq in sorted(prints)])
            store.flush()
        if store.failure:
            raise DfmonError(store.failure)
        after = {name: stored.contiguous_count for name, stored in store.stored().items() if name in file.prints}
    complete = sum(count > 0 for count in after.values())
    total = sum(map(len, file.prints.values()))
    yield f"{file.rows:,} rows, {total:,} prints of {len(file.prints):,} options, stored in {target}"
    yield f"{complete:,} of these options are whole from their first print on, {known:,} were in the store before"
    yield f"prints are deleted {config.history.keep_days:g} days after the expiry (history.keep_days)"
    yield from (f"left out: {note}" for note in file.notes)
