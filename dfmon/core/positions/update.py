"""One frame applied to the inventory: whole lives, prints, losses, and what open interest says about them.

Comes after `inventory` and hands it to `belief` to be read. Open interest is reconciled beside the position: what it
moved beyond the prints we saw becomes variance, never position, once both had time to come.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from dfmon.core.positions.attribution import NODES, Attribution, Priors, attribution, kinds_of
from dfmon.core.positions.counter_rng import STREAMS, uniforms
from dfmon.core.positions.inventory import NO_FLOW, Inventory, aligned, on_grain, unprinted
from dfmon.core.positions.posterior import read
from dfmon.model.frames import F64, I64, U64, ChainFrame, Life, TradeColumns
from dfmon.model.units import HOUR, SECOND

QUIET: Final = 120 * SECOND  # after this, open interest shows every print, and every print has come
CHUNK: Final = 2048  # prints read at once: their draws fit the cache
TRANSFERRED: Final = 0.5  # standard deviation of the position, as a share of what open interest moved unexplained
VAST: Final = 1e12  # open interest of this size is a mistake


def observe(inventory: Inventory, frame: ChainFrame, priors: Priors) -> Inventory:
    """The inventory after one frame: whole lives first, then prints, losses, and what open interest says.

    Units: coins. Shapes: any frame. Domain: sizes > 0, sides +1 or -1, which the chain has checked; prints of options
    that are not in the frame are passed over.
    Source: taker side by Bayes' rule under the classes of `attribution`; reconciliation as the module says.
    """
    inventory = aligned(inventory, frame)
    tick = _Tick(inventory, frame, attribution(priors))
    tick.listing()
    for life in frame.lives:
        tick.live(life)
    tick.prints(frame.trades)
    tick.losses(frame.lost)
    tick.interest()
    return tick.finished(priors)


class _Tick:
    """One frame being applied. The book is copied once, an option's flow when it gets a print."""

    def __init__(self, inventory: Inventory, frame: ChainFrame, tables: Attribution) -> None:
        self._before, self._frame, self._tables = inventory, frame, tables
        self._place = inventory.place
        self._book = inventory.book.copy()
        self._flows: dict[int, F64] = {}
        self._touched = np.zeros(len(inventory.names), np.bool_)

    def listing(self) -> None:
        """Options listed while we watch begin at zero, exactly."""
        fresh = self._place[self._frame.whole_life & (self._book["whole"][self._place] == 0)]
        if fresh.size:
            book = self._book
            book["whole"][fresh], book["unseen"][fresh], book["opened"][fresh] = 1, 0.0, 0.0
            book["watched"][fresh] = book["volume"][fresh]
            self._touched[fresh] = True

    def live(self, life: Life) -> None:
        """A whole history: what was known of the option's prints gives way to it."""
        row = self._before.row_of.get(life.uid)
        if row is None:
            return
        record, trades = self._book[row], life.trades
        for field in ("unseen", "volume", "squares", "missed", "opened", "watched", "balance", "tally", "last_ns"):
            record[field] = 0
        record["whole"] = 1
        record["since_ns"] = int(trades.exch_ns.min()) if trades.uid.size else self._frame.ts_ns
        self._flows[row] = NO_FLOW
        self._touched[row] = True
        self._add(np.full(trades.uid.size, row), trades)
        record["balance"] = 0.0  # its open interest has long shown them

    def prints(self, trades: TradeColumns) -> None:
        """Prints since the last frame."""
        if not trades.uid.size:
            return
        find = self._before.row_of.get
        rows = np.array([find(uid, -1) for uid in trades.uid.tolist()])
        known = np.flatnonzero(rows >= 0)
        if known.size < rows.size:
            rows, trades = rows[known], trades.rows(known)
        self._add(rows, trades)

    def _add(self, rows: I64, trades: TradeColumns) -> None:
        book, size = self._book, on_grain(trades.size)
        kind, buy = kinds_of(trades), (trades.side > 0).astype(np.int64)
        np.add.at(book["tally"], (rows, 2 * kind + buy), 1.0)
        np.add.at(book["volume"], rows, size)
        np.add.at(book["squares"], rows, on_grain(size * size))
        np.maximum.at(book["seq"], rows, trades.seq)
        np.maximum.at(book["last_ns"], rows, trades.exch_ns)
        old = trades.exch_ns < book["since_ns"][rows]
        np.subtract.at(book["unseen"], rows[old], size[old])
        np.maximum(book["unseen"], 0.0, out=book["unseen"])
        new = rows[~old]
        np.add.at(book["watched"], new, size[~old])
        np.add.at(book["balance"], new, size[~old])
        np.maximum.at(book["stirred_ns"], new, trades.exch_ns[~old])
        self._touched[rows] = True
        order = np.argsort(rows, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(rows[order])) + 1) if rows.size else ():
            row = int(rows[group[0]])
            said = flow(self._tables, trades.key[group], kind[group], buy[group], size[group])
            self._flows[row] = self._flow(row) + said

    def _flow(self, row: int) -> F64:
        found = self._flows.get(row)
        return self._before.flows[row] if found is None else found

    def losses(self, lost: F64) -> None:
        """Prints that are gone for good widen the band as so many typical prints of the option would."""
        if not lost.any():
            return
        at = np.flatnonzero(lost > 0.0)
        rows, book = self._place[at], self._book
        count = book["tally"][rows].sum(axis=1)
        typical = np.where(count > 0.0, book["volume"][rows] / np.maximum(count, 1.0), unprinted(book[rows]))
        book["missed"][rows] += on_grain(lost[at] * typical)
        self._touched[rows] = True

    def interest(self) -> None:
        """Reconcile: what open interest moved beyond the prints counts as unexplained once both had time to come."""
        book, rows, ts_ns = self._book, self._place, self._frame.ts_ns
        said = self._frame.open_interest
        usable = (said >= 0.0) & (said < VAST)
        quiet = rows[(book["balance"][rows] != 0.0) & (ts_ns - book["stirred_ns"][rows] > QUIET)]
        if quiet.size:
            missing = np.maximum(-book["balance"][quiet], 0.0)
            book["unexplained"][quiet] += missing
            book["variance"][quiet] += (TRANSFERRED * missing) ** 2
            book["balance"][quiet] = 0.0
            self._touched[quiet] = True
        first = usable & (book["since_ns"][rows] == 0)
        if first.any():
            self._start(rows[first], said[first])
        moved = usable & (said != book["interest"][rows])
        if moved.any():
            at = rows[moved]
            change = on_grain(np.abs(said[moved] - book["interest"][at]))
            change[~np.isfinite(change)] = 0.0
            book["balance"][at] -= change
            book["interest"][at] = said[moved]
            book["stirred_ns"][at] = ts_ns
            self._touched[at] = True

    def _start(self, rows: I64, said: F64) -> None:
        """First open interest of an option: what of it no print explains was there before us."""
        book, ts_ns = self._book, self._frame.ts_ns
        whole = book["whole"][rows] == 1
        book["since_ns"][rows] = ts_ns
        book["unseen"][rows] = np.where(whole, 0.0, np.maximum(on_grain(said) - book["volume"][rows], 0.0))
        book["opened"][rows] = np.where(whole, 0.0, said)
        book["watched"][rows] = np.where(whole, book["volume"][rows], 0.0)
        book["interest"][rows] = np.where(whole, 0.0, said)
        book["balance"][rows] = np.where(whole, book["balance"][rows], 0.0)
        self._touched[rows] = True

    def finished(self, priors: Priors) -> Inventory:
        """The next inventory; rows are read anew where a print, open interest or an hour changed them."""
        before, book = self._before, self._book
        age = np.maximum(self._frame.ts_ns - book["since_ns"], 0) // HOUR
        hours = np.where(book["since_ns"] > 0, age, -1)
        listed = np.zeros(hours.size, np.bool_)
        listed[before.place] = True
        rows = np.flatnonzero((self._touched | (hours != before.hours)) & listed & np.isfinite(book["interest"]))
        if not rows.size and not self._touched.any():
            return before
        flows = before.flows
        if self._flows:
            kept = list(flows)
            for row, changed in self._flows.items():
                kept[row] = changed
            flows = tuple(kept)
        after = replace(before, book=book, flows=flows)
        return read(after, rows, hours, self._tables, priors) if rows.size else after


def flow(tables: Attribution, key: U64, kind: I64, buy: I64, size: F64) -> F64:
    """What prints add to the customers' position of their option, for each direction of customers and stream.

    Units: coins, + customers bought. Shapes: (k,) each -> (NODES, STREAMS). Domain: sizes on the grain.
    Source: inverse sampling of the class of each print by the draw of its event.
    """
    total = np.zeros((NODES, STREAMS))
    code = 2 * kind + buy
    for which in np.unique(code).tolist():
        took, gave = tables.took[which // 2, which % 2], tables.gave[which // 2, which % 2]
        sign = 1.0 if which % 2 else -1.0
        rows = np.flatnonzero(code == which)
        for start in range(0, rows.size, CHUNK):
            part = rows[start : start + CHUNK]
            draw = uniforms(key[part])[:, None, :]
            share = (draw < took).astype(np.float64)
            share -= draw >= gave
            total += np.reshape((sign * size[part]) @ share.reshape(part.size, -1), total.shape)
    return total
