"""Applies one frame to the inventory: full histories, prints, losses, and changes of open interest.

Open interest is reconciled beside the position: a change beyond the observed prints adds variance, never position,
once both had time to arrive.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from dfmon.core.positions.attribution import (
    DIRECTION_NODES,
    AttributionTables,
    Priors,
    attribution_tables,
    print_kinds,
)
from dfmon.core.positions.counter_rng import STREAMS, uniforms
from dfmon.core.positions.inventory import (
    NO_FLOW,
    Inventory,
    align_to_frame,
    default_print_size,
    round_to_size_grid,
)
from dfmon.core.positions.posterior import sample_posterior
from dfmon.model.frames import F64, I64, U64, ChainFrame, TradeColumns, TradeHistory
from dfmon.model.units import HOUR, SECOND

RECONCILE_DELAY_NS: Final = 120 * SECOND  # by then open interest includes every print, and every print has arrived
CHUNK_PRINTS: Final = 2048  # the draws of a chunk fit the cache
TRANSFER_SD_SHARE: Final = 0.5  # of the unexplained change of open interest, as standard deviation of the position
MAX_QUANTITY: Final = 1e12  # larger open interest is an error of the feed


def update_inventory(inventory: Inventory, frame: ChainFrame, priors: Priors) -> Inventory:
    """The inventory after one frame: full histories first, then prints, losses and open interest.

    Units: coins. Domain: sizes > 0, sides +1 or -1, as the chain guarantees; prints of options
    that are not in the frame are ignored.
    Source: taker side by Bayes' rule under the classes of `attribution`.
    """
    inventory = align_to_frame(inventory, frame)
    update = _InventoryUpdate(inventory, frame, attribution_tables(priors))
    update.apply_new_listings()
    for history in frame.trade_histories:
        update.apply_history(history)
    update.apply_prints(frame.trades)
    update.apply_losses(frame.lost_prints)
    update.reconcile_open_interest()
    return update.finish(priors)


class _InventoryUpdate:
    """One frame in progress. Records are copied once, an option's flow at its first print."""

    def __init__(self, inventory: Inventory, frame: ChainFrame, tables: AttributionTables) -> None:
        self._previous, self._frame, self._tables = inventory, frame, tables
        self._frame_rows = inventory.frame_rows
        self._records = inventory.records.copy()
        self._flows: dict[int, F64] = {}
        self._changed = np.zeros(len(inventory.names), np.bool_)

    def apply_new_listings(self) -> None:
        """Starts options listed during the session at exactly zero."""
        new_rows = self._frame_rows[self._frame.full_history & (self._records["full_history"][self._frame_rows] == 0)]
        if new_rows.size:
            records = self._records
            records["full_history"][new_rows], records["unobserved_oi"][new_rows], records["oi_at_start"][new_rows] = (
                1,
                0.0,
                0.0,
            )
            records["qty_since_start"][new_rows] = records["volume"][new_rows]
            self._changed[new_rows] = True

    def apply_history(self, history: TradeHistory) -> None:
        """Replaces all that is known of an option's prints by a full history."""
        row = self._previous.row_by_uid.get(history.uid)
        if row is None:
            return
        record, trades = self._records[row], history.trades
        for field in (
            "unobserved_oi",
            "volume",
            "sum_sq_size",
            "lost_qty",
            "oi_at_start",
            "qty_since_start",
            "prints_minus_oi",
            "counts",
            "last_ns",
        ):
            record[field] = 0
        record["full_history"] = 1
        record["since_ns"] = int(trades.exch_ns.min()) if trades.uid.size else self._frame.ts_ns
        self._flows[row] = NO_FLOW
        self._changed[row] = True
        self._add_prints(np.full(trades.uid.size, row), trades)
        record["prints_minus_oi"] = 0.0  # open interest already includes them

    def apply_prints(self, trades: TradeColumns) -> None:
        """Adds the prints since the last frame."""
        if not trades.uid.size:
            return
        find = self._previous.row_by_uid.get
        rows = np.array([find(uid, -1) for uid in trades.uid.tolist()])
        known = np.flatnonzero(rows >= 0)
        if known.size < rows.size:
            rows, trades = rows[known], trades.rows(known)
        self._add_prints(rows, trades)

    def _add_prints(self, rows: I64, trades: TradeColumns) -> None:
        records, size = self._records, round_to_size_grid(trades.size)
        kind, buy = print_kinds(trades), (trades.side > 0).astype(np.int64)
        np.add.at(records["counts"], (rows, 2 * kind + buy), 1.0)
        np.add.at(records["volume"], rows, size)
        np.add.at(records["sum_sq_size"], rows, round_to_size_grid(size * size))
        np.maximum.at(records["seq"], rows, trades.seq)
        np.maximum.at(records["last_ns"], rows, trades.exch_ns)
        old = trades.exch_ns < records["since_ns"][rows]
        np.subtract.at(records["unobserved_oi"], rows[old], size[old])
        np.maximum(records["unobserved_oi"], 0.0, out=records["unobserved_oi"])
        new = rows[~old]
        np.add.at(records["qty_since_start"], new, size[~old])
        np.add.at(records["prints_minus_oi"], new, size[~old])
        np.maximum.at(records["last_change_ns"], new, trades.exch_ns[~old])
        self._changed[rows] = True
        order = np.argsort(rows, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(rows[order])) + 1) if rows.size else ():
            row = int(rows[group[0]])
            added_flow = sum_print_flow(self._tables, trades.key[group], kind[group], buy[group], size[group])
            self._flows[row] = self._current_flow(row) + added_flow

    def _current_flow(self, row: int) -> F64:
        found = self._flows.get(row)
        return self._previous.flows[row] if found is None else found

    def apply_losses(self, lost: F64) -> None:
        """Widens the band by the lost prints, each counted as a typical print of its option."""
        if not lost.any():
            return
        lossy = np.flatnonzero(lost > 0.0)
        rows, records = self._frame_rows[lossy], self._records
        count = records["counts"][rows].sum(axis=1)
        typical_size = np.where(
            count > 0.0, records["volume"][rows] / np.maximum(count, 1.0), default_print_size(records[rows])
        )
        records["lost_qty"][rows] += round_to_size_grid(lost[lossy] * typical_size)
        self._changed[rows] = True

    def reconcile_open_interest(self) -> None:
        """Counts changes of open interest beyond the prints as unexplained, once both had time to arrive."""
        records, rows, ts_ns = self._records, self._frame_rows, self._frame.ts_ns
        reported = self._frame.open_interest
        usable = (reported >= 0.0) & (reported < MAX_QUANTITY)
        settled_rows = rows[
            (records["prints_minus_oi"][rows] != 0.0) & (ts_ns - records["last_change_ns"][rows] > RECONCILE_DELAY_NS)
        ]
        if settled_rows.size:
            unexplained = np.maximum(-records["prints_minus_oi"][settled_rows], 0.0)
            records["unexplained"][settled_rows] += unexplained
            records["variance"][settled_rows] += (TRANSFER_SD_SHARE * unexplained) ** 2
            records["prints_minus_oi"][settled_rows] = 0.0
            self._changed[settled_rows] = True
        first = usable & (records["since_ns"][rows] == 0)
        if first.any():
            self._start_tracking(rows[first], reported[first])
        changed = usable & (reported != records["open_interest"][rows])
        if changed.any():
            changed_rows = rows[changed]
            change = round_to_size_grid(np.abs(reported[changed] - records["open_interest"][changed_rows]))
            change[~np.isfinite(change)] = 0.0
            records["prints_minus_oi"][changed_rows] -= change
            records["open_interest"][changed_rows] = reported[changed]
            records["last_change_ns"][changed_rows] = ts_ns
            self._changed[changed_rows] = True

    def _start_tracking(self, rows: I64, reported: F64) -> None:
        """Initialises options at their first open interest; the part that no print explains predates the session."""
        records, ts_ns = self._records, self._frame.ts_ns
        full_history = records["full_history"][rows] == 1
        records["since_ns"][rows] = ts_ns
        records["unobserved_oi"][rows] = np.where(
            full_history, 0.0, np.maximum(round_to_size_grid(reported) - records["volume"][rows], 0.0)
        )
        records["oi_at_start"][rows] = np.where(full_history, 0.0, reported)
        records["qty_since_start"][rows] = np.where(full_history, records["volume"][rows], 0.0)
        records["open_interest"][rows] = np.where(full_history, 0.0, reported)
        records["prints_minus_oi"][rows] = np.where(full_history, records["prints_minus_oi"][rows], 0.0)
        self._changed[rows] = True

    def finish(self, priors: Priors) -> Inventory:
        """The next inventory; rows are sampled again after a print, a change of open interest or an hour."""
        previous, records = self._previous, self._records
        age = np.maximum(self._frame.ts_ns - records["since_ns"], 0) // HOUR
        age_hours = np.where(records["since_ns"] > 0, age, -1)
        listed = np.zeros(age_hours.size, np.bool_)
        listed[previous.frame_rows] = True
        rows = np.flatnonzero(
            (self._changed | (age_hours != previous.age_hours)) & listed & np.isfinite(records["open_interest"])
        )
        if not rows.size and not self._changed.any():
            return previous
        flows = previous.flows
        if self._flows:
            updated_flows = list(flows)
            for row, changed in self._flows.items():
                updated_flows[row] = changed
            flows = tuple(updated_flows)
        after = replace(previous, records=records, flows=flows)
        return sample_posterior(after, rows, age_hours, self._tables, priors) if rows.size else after


def sum_print_flow(tables: AttributionTables, key: U64, kind: I64, buy: I64, size: F64) -> F64:
    """Flow of prints into the customers' position of their option, for each direction node and stream.

    Units: coins, + customers bought. Shapes: (k,) each -> (NODES, STREAMS). Domain: sizes on the size grid.
    Source: inverse sampling of the class of each print by the draw of its event.
    """
    total = np.zeros((DIRECTION_NODES, STREAMS))
    code = 2 * kind + buy
    for kind_side in np.unique(code).tolist():
        customer_taker_below, customer_maker_from = (
            tables.customer_taker_below[kind_side // 2, kind_side % 2],
            tables.customer_maker_from[kind_side // 2, kind_side % 2],
        )
        sign = 1.0 if kind_side % 2 else -1.0
        rows = np.flatnonzero(code == kind_side)
        for start in range(0, rows.size, CHUNK_PRINTS):
            chunk = rows[start : start + CHUNK_PRINTS]
            draw = uniforms(key[chunk])[:, None, :]
            share = (draw < customer_taker_below).astype(np.float64)
            share -= draw >= customer_maker_from
            total += np.reshape((sign * size[chunk]) @ share.reshape(chunk.size, -1), total.shape)
    return total
