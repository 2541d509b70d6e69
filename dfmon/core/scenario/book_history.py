"""Positions of one model over the last quarter of an hour, and what of them has settled since.

State of one position model. Mean positions are kept by the minute; of the ensemble only the members of options that
have expired, as they were at the end, since the frame and the estimator drop these at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dfmon.core.columns import Columns
from dfmon.core.exposure.desks import HedgeShares
from dfmon.core.exposure.hedge_flow import Book, HedgeFlow, HedgeUnits, LinearForm, hedge_flow
from dfmon.core.exposure.market_window import SAMPLE_NS, MarketWindow
from dfmon.core.exposure.option_window import OptionWindow, pick
from dfmon.core.exposure.outlook import Outlook, outlook
from dfmon.core.exposure.vanna_charm_volga import Totals
from dfmon.core.positions.dealer_net import DealerPositions
from dfmon.core.positions.position_book import PositionBook
from dfmon.core.scenario.market_moves import LOOKBACK_NS, MarketMoves
from dfmon.model.frames import F64, I64

SAMPLES: Final = LOOKBACK_NS // SAMPLE_NS + 2  # one sample before the look-back to interpolate from


@dataclass(frozen=True, slots=True)
class BookHistory:
    """Mean positions once a minute, and `settled_members` (m, M) of the options `settled_key` (m,). Coins."""

    positions: OptionWindow
    settled_key: I64
    settled_members: F64

    @classmethod
    def empty(cls) -> BookHistory:
        positions = OptionWindow.empty(SAMPLE_NS, SAMPLES, fields=1)
        return cls(positions, np.zeros(0, np.int64), np.zeros((0, 0)))

    def push(self, window: MarketWindow, positions: DealerPositions) -> BookHistory:
        """The history with the positions of the frame that `window` has newest, once a minute."""
        if not window.samples.times.size:
            return self
        ts_ns = int(window.samples.times[-1])
        pushed = self.positions.push(ts_ns, window.frame_key, positions.position[None, :])
        return self if pushed is self.positions else replace(self, positions=pushed)

    def with_settled(self, key: I64, window: MarketWindow, before: PositionBook) -> BookHistory:
        """The history with the members of these options, and of no others.

        `window` and `before` are those of the last tick, which still have what has expired since.
        """
        if np.array_equal(key, self.settled_key):
            return self
        row_by_key = dict(zip(window.frame_key.tolist(), before.frame_rows.tolist()))
        settled = dict(zip(self.settled_key.tolist(), self.settled_members))
        for option in key.tolist():
            row = row_by_key.get(option, -1)
            if row >= 0:
                settled[option] = before.estimate.members[row]
        rows = [option for option in key.tolist() if option in settled]
        members = np.array([settled[option] for option in rows]) if rows else np.zeros((0, 0))
        return replace(self, settled_key=np.array(rows, np.int64), settled_members=members)


@dataclass(frozen=True, slots=True)
class BookFlows:
    """Hedge trades of a book: over the look-back, and if spot moves. USD, + = dealers buy."""

    hedge: HedgeFlow | None
    outlook: tuple[Outlook, ...]


NO_FLOWS: Final = BookFlows(None, ())


def measure_book_flows(
    history: BookHistory,
    moves: MarketMoves,
    cols: Columns,
    totals: Totals,
    shares: Callable[[float], HedgeShares],
    off_venue_sd: float = 0.0,
) -> BookFlows:
    """Hedge trades of the book of `cols`.

    `shares` of the desks that hedge a move of spot, given as a fraction.

    Units: USD, + = dealers bought. Domain: a finite book; no flow before a look-back of a minute.
    """
    hedge, units = None, moves.hedge
    if units is not None:
        linear = LinearForm(totals.ngi, totals.vss, totals.chl, moves.points_15m or 0.0)
        traded = shares(units.log_return)
        hedge = hedge_flow(units, book_over(history, units, cols), linear, traded, off_venue_sd)
    rows: tuple[Outlook, ...] = ()
    if moves.outlook is not None:
        by_case = tuple(shares(case.move) for case in moves.outlook.cases)
        rows = outlook(moves.outlook, cols.position, cols.members, by_case, off_venue_sd)
    return BookFlows(hedge, rows)


def book_over(history: BookHistory, units: HedgeUnits, cols: Columns) -> Book:
    """The book now, and what of it has expired in the look-back as it was at the end."""
    expired = units.expired_key
    if not expired.size:
        return Book(cols.position, cols.members, history.positions)
    last = pick(history.positions.last_values()[0], history.positions.find(expired))
    position = np.concatenate([cols.position, np.nan_to_num(last)])
    if cols.members is None:
        return Book(position, cols.members, history.positions)
    members = np.repeat(position[units.live :, None], cols.members.shape[1], axis=1)
    settled = dict(zip(history.settled_key.tolist(), history.settled_members))
    for row, option in enumerate(expired.tolist()):
        members[row] = settled.get(option, members[row])
    return Book(position, np.concatenate([cols.members, members]), history.positions)
