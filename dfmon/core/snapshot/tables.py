"""Tables of the snapshot: by expiry, by strike, the heat-map, the tape. Plain numbers in the order of the screen.

Only re-arranges, computes no exposure of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from dfmon.core.book_exposure import PricedBoard
from dfmon.core.columns import Columns, first_of_group, group_sums
from dfmon.core.positions.provenance import Provenance
from dfmon.core.pricing.black import Mask
from dfmon.core.scenario.tick_result import TickResult
from dfmon.model.frames import F64, ChainFrame
from dfmon.model.metrics import EXPOSURE_INDEX, metrics_at
from dfmon.model.tables import ExpiryRow, HeatMap, Sources, StrikeRow, TapeRow
from dfmon.model.units import expiry_label, iso

_EXPIRY_EXPOSURES: Final = metrics_at("by_expiry")
_STRIKE_EXPOSURES: Final = metrics_at("by_strike")
_HEATMAP_EXPOSURES: Final = metrics_at("heatmap")
_HEATMAP_ROWS: Final = [EXPOSURE_INDEX[name] for name in _HEATMAP_EXPOSURES]
TAPE_ROWS = 100


def ratio(numerator: float, denominator: float) -> float | None:
    """`numerator` over `denominator`; None where the latter is not positive."""
    return numerator / denominator if denominator > 0.0 and math.isfinite(numerator / denominator) else None


def _ratios(numerators: F64, denominators: F64) -> list[float | None]:
    return list(map(ratio, numerators.tolist(), denominators.tolist()))


def by_expiry(tick: TickResult) -> tuple[ExpiryRow, ...]:
    """Sums of each expiry, nearest first, and how its open interest agrees with its prints."""
    cols, exposure, atm, positions = tick.cols, tick.exposure, tick.atm, tick.positions
    open_interest_check, groups = tick.open_interest_check, cols.expiries.size
    sums = exposure.sums.by_expiry
    open_interest = group_sums(cols.expiry_code, cols.open_interest, groups)
    counts = np.bincount(cols.expiry_code, minlength=groups)
    forward = first_of_group(cols.expiry_code, cols.forward, groups)
    hours = first_of_group(cols.expiry_code, cols.tau, groups) * 365.0 * 24.0
    net = group_sums(cols.expiry_code, cols.position, groups)
    seen = (
        None
        if positions.seen is None
        else group_sums(cols.expiry_code, positions.seen[cols.rows] * cols.open_interest, groups)
    )
    change, printed = (
        group_sums(cols.expiry_code, column[cols.rows], groups)
        for column in (open_interest_check.change, open_interest_check.printed)
    )
    unexplained, changed = (
        group_sums(cols.expiry_code, column, groups)
        for column in (tick.provenance.unexplained, tick.changed_open_interest)
    )
    unknown: list[float | None] = [None] * groups
    columns: dict[str, list[str] | list[int] | list[float] | list[float | None] | list[Sources]] = {
        "expiry": [iso(ns) for ns in cols.expiries.tolist()],
        "label": [expiry_label(ns) for ns in cols.expiries.tolist()],
        "hours": hours.tolist(),
        "forward": forward.tolist(),
        "atm_iv": atm.tolist(),
        "open_interest": open_interest.tolist(),
        "options": counts.tolist(),
        "coverage": unknown if seen is None else _ratios(seen, open_interest),
        "churn": _ratios(change, printed),
        "residual": _ratios(unexplained, changed),
    }
    if tick.has_book:
        columns["net"] = net.tolist()
        columns |= {name: sums[EXPOSURE_INDEX[name]].tolist() for name in _EXPIRY_EXPOSURES}
        if tick.model == "flow":
            columns |= _origins(cols, tick.provenance)
    return tuple(map(ExpiryRow, *(columns.get(field, unknown) for field in ExpiryRow.__struct_fields__)))


def known_unexplained(unexplained: F64, change: F64) -> list[float | None]:
    """Coins that no print explains, None where open interest was not seen to change. Shapes: (n,), (n,)."""
    return [coins if size > 0.0 else None for coins, size in zip(unexplained.tolist(), change.tolist())]


def _origins(cols: Columns, found: Provenance) -> dict[str, list[Sources] | list[float] | list[float | None]]:
    """Provenance of the positions of each expiry."""
    code, groups = cols.expiry_code, cols.expiries.size
    parts = [group_sums(code, part, groups).tolist() for part in found.sources.T]
    complete = group_sums(code, np.where(found.full_history, cols.position, 0.0), groups)
    change, unexplained = (group_sums(code, column, groups) for column in (found.change, found.unexplained))
    return {
        "sources": list(map(Sources, *parts)),
        "full_history_net": complete.tolist(),
        "change": change.tolist(),
        "unexplained": known_unexplained(unexplained, change),
    }


def by_strike(tick: TickResult) -> tuple[StrikeRow, ...]:
    """Sums of each strike over all expiries, ascending."""
    cols, exposure, groups = tick.cols, tick.exposure, tick.cols.strikes.size
    sums = exposure.sums.by_strike
    calls = group_sums(cols.strike_code, cols.open_interest * (cols.option_type > 0), groups)
    puts = group_sums(cols.strike_code, cols.open_interest * (cols.option_type < 0), groups)
    check = tick.open_interest_check
    change, printed = (group_sums(cols.strike_code, x[cols.rows], groups) for x in (check.change, check.printed))
    columns: dict[str, list[float] | list[float | None]] = {
        "strike": cols.strikes.tolist(),
        "call_open_interest": calls.tolist(),
        "put_open_interest": puts.tolist(),
        "churn": _ratios(change, printed),
    }
    if tick.has_book:
        columns |= {name: sums[EXPOSURE_INDEX[name]].tolist() for name in _STRIKE_EXPOSURES}
    unknown: list[float | None] = [None] * groups
    return tuple(map(StrikeRow, *(columns.get(field, unknown) for field in StrikeRow.__struct_fields__)))


def heat_map(tick: TickResult) -> HeatMap:
    """Strike x expiry cells: the sums of the options of each, and their mean volatility. `smoothing` is for the screen.

    Units: USD; open interest coins; volatility decimal. Shapes: one row a strike, one column an expiry. Domain: no
    exposures while positions are unknown.
    """
    cols, sums = tick.cols, tick.exposure.sums
    if not cols.size:
        return HeatMap((), (), (), (), (), (), (), ())
    shape = cols.expiries.size, cols.strikes.size
    counts = np.bincount(cols.cell, minlength=shape[0] * shape[1]).reshape(shape)
    listed = counts > 0
    sigma = group_sums(cols.cell, cols.sigma, listed.size).reshape(shape) / np.maximum(counts, 1)
    open_interest = group_sums(cols.cell, cols.open_interest, listed.size).reshape(shape)
    exposures = sums.cells[_HEATMAP_ROWS]
    return HeatMap(
        strikes=tuple(cols.strikes.tolist()),
        expiries=tuple(expiry_label(ns) for ns in cols.expiries.tolist()),
        oi=cells(open_interest, listed),
        iv=cells(sigma, listed),
        **{name: cells(values, listed & tick.has_book) for name, values in zip(_HEATMAP_EXPOSURES, exposures)},
    )


def cells(values: F64, shown: Mask) -> tuple[tuple[float | None, ...], ...]:
    """Rows of strikes of an array by expiry and strike; None where the cell is not shown."""
    flat: list[float | None] = [None] * shown.size
    for index, value in zip(np.flatnonzero(shown.T).tolist(), values.T[shown.T].tolist()):
        flat[index] = value
    return tuple(zip(*[iter(flat)] * shown.shape[0]))  # as many cells a row as there are expiries


def tape(frame: ChainFrame, cols: Columns, board: PricedBoard, previous: tuple[TapeRow, ...]) -> tuple[TapeRow, ...]:
    """At most TAPE_ROWS prints, newest first by the venue's time: a backfill delivers older prints after newer ones.

    Gamma is the change of the dealers' NGI if the taker was a customer; None where the option cannot be priced. The
    legs of one combo or block have one `structure`.
    """
    trades = frame.trades
    if not trades.uid.size:
        return previous
    row_by_uid: Mapping[int, int] = {uid: i for i, uid in enumerate(frame.uid.tolist())}
    column_by_row = {row: k for k, row in enumerate(cols.rows.tolist())}
    unit_ngi = board.unit_ngi()
    new_rows = []
    newest_first = np.lexsort((np.arange(trades.uid.size), trades.exch_ns))[::-1]
    for i in newest_first.tolist():
        frame_row = row_by_uid.get(int(trades.uid[i]))
        if frame_row is None:
            continue
        k = column_by_row.get(frame_row)
        signed = -float(trades.side[i]) * float(trades.size[i])
        sigma = float(trades.sigma[i])
        new_rows.append(
            TapeRow(
                ts_ns=int(trades.exch_ns[i]),
                side=int(trades.side[i]),
                name=frame.names[frame_row],
                expiry=expiry_label(int(frame.expiry_ns[frame_row])),
                strike=float(frame.strike[frame_row]),
                option_type="C" if frame.option_type[frame_row] > 0 else "P",
                size=float(trades.size[i]),
                price=float(trades.price[i]),
                iv=sigma if sigma > 0.0 else None,
                gamma=None if k is None else signed * float(unit_ngi[k]),
                block=bool(trades.block[i]),
                combo=bool(trades.combo[i]),
                rfq=bool(trades.rfq[i]),
                premium=_premium(frame, frame_row, float(trades.size[i]) * float(trades.price[i])),
                structure=f"{int(trades.key[i]):016x}" if trades.block[i] or trades.combo[i] else "",
            )
        )
        if len(new_rows) == TAPE_ROWS:
            break
    return tuple(sorted((*new_rows, *previous), key=lambda row: row.ts_ns, reverse=True)[:TAPE_ROWS])


def _premium(frame: ChainFrame, row: int, quoted: float) -> float | None:
    """USD of a premium as quoted: in coins for an inverse option. None without a spot."""
    if not frame.inverse[row]:
        return quoted
    return quoted * frame.spot if math.isfinite(frame.spot) and frame.spot > 0.0 else None
