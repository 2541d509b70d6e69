"""Position estimator of one underlying as a frame advances it: what `step` carries of it from tick to tick.

A frame gives prints, whole lives, losses, and open interest with the venue's time of it. Rows are those of the
estimator's state, by name; `frame_rows` leads from the frame to them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.positions import position_state as columns
from dfmon.core.positions.advance import advance
from dfmon.core.positions.counter_rng import MEMBERS
from dfmon.core.positions.estimate import PositionEstimate, estimate, observed_share, unobserved
from dfmon.core.positions.netting_filter import add_unexplained, bounded, known_moments
from dfmon.core.positions.observed_columns import InterestColumns, PrintColumns
from dfmon.core.positions.position_state import Listing, PositionState, with_options
from dfmon.core.positions.print_kinds import PositionPriors, print_kinds
from dfmon.core.positions.replay import Replays, advanced, merged, with_replays
from dfmon.model.frames import F64, I64, ChainFrame, TradeColumns, TradeHistory

DEFAULT_PRINT_SHARE: Final = 0.05  # of open interest: assumed size of a print before the first one
_NO_ROWS: Final = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class PositionBook:
    """The estimator's state, and beside it by row: `seq` the newest print given to it, `lost` coins of lost prints.

    `replays` are whole lives that take more than one frame; until they are done, their options stay as they were.

    `frame_names` are the options of the last frame and `frame_rows` the row of each, -1 for none. `estimate` follows
    from the state.
    """

    state: PositionState
    seq: I64
    lost: F64
    replays: Replays
    frame_names: tuple[str, ...]
    frame_rows: I64
    estimate: PositionEstimate

    @classmethod
    def empty(cls) -> PositionBook:
        nothing = PositionEstimate.initial("", MEMBERS)
        return cls(PositionState.empty(), _NO_ROWS, np.zeros(0), Replays.empty(), (), _NO_ROWS, nothing)

    @classmethod
    def restored(
        cls,
        underlying: str,
        state: PositionState,
        seq: I64,
        lost: F64,
        replays: Replays,
        frame_names: tuple[str, ...],
        frame_rows: I64,
    ) -> PositionBook:
        """The book behind a stored state; its estimate is computed again."""
        found = estimate(state, PositionEstimate.initial(underlying, MEMBERS))
        return cls(state, seq, lost, replays, frame_names, frame_rows, found)

    @property
    def names(self) -> tuple[str, ...]:
        """The options, in the order of the rows."""
        return self.state.listing.names

    @property
    def full_history(self) -> NDArray[np.bool_]:
        """Marks of options all of whose prints since their listing are known, (n,)."""
        return np.asarray(self.state.listing.listed_ns > 0)

    @property
    def unobserved(self) -> NDArray[np.bool_]:
        """Marks of options of which neither the listing nor any open interest was seen, (n,)."""
        return unobserved(self.state)

    @property
    def printed(self) -> F64:
        """Coins printed of each option, with the prints that wait for open interest; (n,)."""
        pending = self.state.pending
        waiting = np.bincount(pending.row, pending.size, self.state.size)
        return np.asarray(self.state.sums[:, columns.VOLUME] + waiting)

    @property
    def newest_ns(self) -> I64:
        """Time of the newest print given for each option, 0 where there was none; (n,)."""
        newest, pending = self.state.last_ns.copy(), self.state.pending
        np.maximum.at(newest, pending.row, pending.ts_ns)
        return newest

    @property
    def seen(self) -> F64:
        """Share of each open interest whose history was observed, less the share of lost prints; (n,)."""
        volume = self.state.sums[:, columns.VOLUME]
        share_not_lost = np.where(self.lost > 0.0, volume / np.maximum(volume + self.lost, 1e-300), 1.0)
        return np.asarray(np.where(self.unobserved, 0.0, observed_share(self.state) * share_not_lost))


def advance_book(book: PositionBook, frame: ChainFrame, priors: PositionPriors) -> PositionBook:
    """The book after one frame: whole lives first, as far as they fit, then prints and open interest, then losses.

    Units: coins. Domain: prints of options that are not in the frame are left out.
    """
    book = _with_options_of(book, frame)
    book, later = _with_replays(_with_histories(book, frame, priors), priors)
    prints, book = _prints(book, frame)
    state = advance(book.state, later.joined(prints), _observed(book, frame), frame.venue_ns, priors)
    book = _with_losses(_after_expiry(book, frame, state), frame)
    previous = book.estimate
    if not previous.names:
        previous = PositionEstimate.initial(frame.underlying, MEMBERS)
    return replace(book, estimate=estimate(book.state, previous))


# ---- rows ----------------------------------------------------------------------------------------------------------


def _with_options_of(book: PositionBook, frame: ChainFrame) -> PositionBook:
    """The book with a row for every option of the frame that has not expired."""
    if frame.names != book.frame_names:
        known = set(book.names)
        alive = (frame.expiry_ns > frame.venue_ns).tolist()
        new = [at for at, name in enumerate(frame.names) if alive[at] and name not in known]
        if new:
            listing = Listing(
                tuple(frame.names[at] for at in new),
                frame.strike[new],
                frame.expiry_ns[new],
                frame.option_type[new].astype(np.float64),
                np.where(frame.full_history[new], np.maximum(frame.listed_ns[new], 1), 0),
            )
            state = with_options(book.state, listing)
            seq = np.concatenate([book.seq, np.zeros(len(new), np.int64)])
            book = replace(book, state=state, seq=seq, lost=np.concatenate([book.lost, np.zeros(len(new))]))
        book = _mapped(book, frame)
    rows = book.frame_rows
    newly = frame.full_history & (rows >= 0)
    newly[newly] = (book.state.listing.listed_ns[rows[newly]] == 0) & (book.seq[rows[newly]] == 0)
    return _restarted(book, rows[newly], frame.listed_ns[newly]) if newly.any() else book


def _mapped(book: PositionBook, frame: ChainFrame) -> PositionBook:
    row_of = {name: row for row, name in enumerate(book.names)}
    rows = np.array([row_of.get(name, -1) for name in frame.names], np.int64)
    return replace(book, frame_names=frame.names, frame_rows=rows)


def _restarted(book: PositionBook, rows: I64, listed_ns: I64) -> PositionBook:
    """The book with these options as if none of them had ever had a print."""
    state, last = book.state, book.state.last
    fields = {
        name: getattr(state, name).copy() for name in ("moments", "first_interest", "sums", "last_ns", "revision")
    }
    fields["moments"][:, :, rows] = known_moments(rows.size)
    fields["first_interest"][rows] = fields["last_ns"][rows] = 0
    fields["sums"][rows] = 0.0
    fields["revision"][rows] += 1
    listed, value = state.listing.listed_ns.copy(), last.value.copy()
    listed[rows] = np.maximum(listed_ns, 1)
    value[rows] = np.where(np.isnan(value[rows]), 0.0, value[rows])
    waiting = ~np.isin(state.pending.row, rows)
    seq, lost = book.seq.copy(), book.lost.copy()
    seq[rows], lost[rows] = 0, 0.0
    state = replace(
        state,
        listing=replace(state.listing, listed_ns=listed),
        last=replace(last, value=value),
        pending=state.pending.take(waiting),
        **fields,
    )
    return replace(book, state=state, seq=seq, lost=lost)


def _after_expiry(book: PositionBook, frame: ChainFrame, state: PositionState) -> PositionBook:
    """The book with the advanced state, which has lost the rows of options that expired."""
    if state.listing is book.state.listing:
        return replace(book, state=state)
    alive = book.state.listing.expiry_ns > frame.venue_ns
    replays = book.replays.take(book.replays.state.listing.expiry_ns > frame.venue_ns)
    return _mapped(replace(book, state=state, seq=book.seq[alive], lost=book.lost[alive], replays=replays), frame)


# ---- what a frame brings -------------------------------------------------------------------------------------------


def _rows_of(book: PositionBook, frame: ChainFrame, uid: I64) -> I64:
    """Rows of options by their number in this session, -1 for those that are not in the frame."""
    if not frame.uid.size:
        return np.full(uid.size, -1)
    order = np.argsort(frame.uid, kind="stable")
    at = order[np.minimum(np.searchsorted(frame.uid, uid, sorter=order), frame.uid.size - 1)]
    return np.asarray(np.where(frame.uid[at] == uid, book.frame_rows[at], -1))


def _print_columns(rows: I64, trades: TradeColumns) -> PrintColumns:
    return PrintColumns(
        rows, trades.exch_ns, trades.side.astype(np.float64), trades.size, print_kinds(trades), trades.seq
    )  # fmt: skip


def _prints(book: PositionBook, frame: ChainFrame) -> tuple[PrintColumns, PositionBook]:
    """The prints since the last frame; the book has their numbers, and holds those of options in replay."""
    trades = frame.trades
    if not trades.uid.size:
        return PrintColumns.empty(), book
    rows = _rows_of(book, frame, trades.uid)
    known = np.flatnonzero(rows >= 0)
    if known.size < rows.size:
        rows, trades = rows[known], trades.rows(known)
    seq = book.seq.copy()
    np.maximum.at(seq, rows, trades.seq)
    prints, book = _print_columns(rows, trades), replace(book, seq=seq)
    if not book.replays.names:
        return prints, book
    row = book.replays.rows_of(book.names)[rows]
    later = replace(prints, row=row).take(row >= 0)
    return prints.take(row < 0), replace(book, replays=replace(book.replays, later=book.replays.later.joined(later)))


def _observed(book: PositionBook, frame: ChainFrame) -> InterestColumns:
    """Open interest whose time is new, up to now."""
    rows = book.frame_rows
    usable = (rows >= 0) & (frame.interest_ns > 0) & (frame.interest_ns <= frame.venue_ns) & ~np.isnan(frame.interest)
    if book.replays.names:
        usable &= book.replays.rows_of(frame.names) < 0
    at = np.flatnonzero(usable)
    at = at[frame.interest_ns[at] > book.state.last.newest_ns[rows[at]]]
    return InterestColumns(rows[at], frame.interest_ns[at], frame.interest[at])


def _with_histories(book: PositionBook, frame: ChainFrame, priors: PositionPriors) -> PositionBook:
    """The book with the whole lives that came in, yet to be replayed. The last one of an option counts."""
    if not frame.trade_histories:
        return book
    by_row: dict[int, TradeHistory] = {}
    for history in frame.trade_histories:
        by_row[int(_rows_of(book, frame, np.array([history.uid]))[0])] = history
    by_row.pop(-1, None)
    rows = np.array(list(by_row), np.int64)
    listed_ns = dict(zip(book.frame_rows.tolist(), frame.listed_ns.tolist()))
    empty = np.array([not history.trades.uid.size for history in by_row.values()], np.bool_)
    listed_then = np.array([listed_ns[row] for row in by_row], np.int64)
    book = _restarted(book, rows[empty], listed_then[empty]) if empty.any() else book
    prints, seq = PrintColumns.empty(), book.seq.copy()
    for row, history in by_row.items():
        trades = history.trades
        if trades.uid.size:
            prints = prints.joined(_print_columns(np.full(trades.uid.size, row), trades))
            seq[row] = int(trades.seq.max())
    replays = book.replays.take(~np.isin(book.replays.names, [book.names[row] for row in by_row]))
    return replace(book, replays=with_replays(replays, book.state, prints, priors), seq=seq)


def _with_replays(book: PositionBook, priors: PositionPriors) -> tuple[PositionBook, PrintColumns]:
    """The book with the replays that this frame finishes, and the prints since then."""
    if not book.replays.names:
        return book, PrintColumns.empty()
    replays = advanced(book.replays, priors)
    finished, replays = replays.take(replays.done), replays.take(~replays.done)
    row_of = {name: row for row, name in enumerate(book.names)}
    rows = np.array([row_of[name] for name in finished.names], np.int64)
    lost = book.lost.copy()
    lost[rows] = 0.0
    book = replace(book, state=merged(book.state, finished, priors), lost=lost, replays=replays)
    later = finished.later
    return _widened(book, rows, finished.lost), replace(later, row=rows[later.row])


def _with_losses(book: PositionBook, frame: ChainFrame) -> PositionBook:
    """The book wider by the lost prints; those of options in replay wait for its end."""
    if not frame.lost_prints.any():
        return book
    at = np.flatnonzero((frame.lost_prints > 0.0) & (book.frame_rows >= 0))
    rows, count = book.frame_rows[at], frame.lost_prints[at]
    if book.replays.names:
        row, lost = book.replays.rows_of(book.names)[rows], book.replays.lost.copy()
        lost[row[row >= 0]] += count[row >= 0]
        rows, count = rows[row < 0], count[row < 0]
        book = replace(book, replays=replace(book.replays, lost=lost))
    return _widened(book, rows, count)


def _widened(book: PositionBook, rows: I64, count: F64) -> PositionBook:
    """The book wider by lost prints of these options, each counted as a typical one."""
    rows, count = rows[count > 0.0], count[count > 0.0]
    if not rows.size:
        return book
    state = book.state
    sums, interest = state.sums[rows], state.interest[rows]
    printed = sums[:, columns.COUNT]
    typical = np.where(
        printed > 0.0, sums[:, columns.VOLUME] / np.maximum(printed, 1.0), DEFAULT_PRINT_SHARE * interest
    )  # fmt: skip
    moments = state.moments[:, :, rows]
    add_unexplained(moments, 2.0 * typical * np.sqrt(count))  # each moves the position by about its size
    all_moments, revision, lost = state.moments.copy(), state.revision.copy(), book.lost.copy()
    all_moments[:, :, rows] = bounded(moments, interest)
    revision[rows] += 1
    lost[rows] += typical * count
    return replace(book, state=replace(state, moments=all_moments, revision=revision), lost=lost)
