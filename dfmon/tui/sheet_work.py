"""The work of each sheet that computes: at its opening, every ten seconds, and where what it rests on changes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from dfmon.engine.explain import EXPLAINED, explain
from dfmon.engine.explain_terms import explain_term
from dfmon.engine.forward_map import forward_map_of
from dfmon.engine.next_settlement import settlement_of
from dfmon.engine.own_book import OwnBook, own_book
from dfmon.engine.profile_horizons import horizon_profiles
from dfmon.engine.vol_surface import vol_surface_of
from dfmon.engine.what_if_results import convention_fan, ngi_grid, what_if_result
from dfmon.model.errors import UsageError
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import SECOND
from dfmon.store.positions_file import read_positions
from dfmon.tui.computation import Work
from dfmon.tui.render.forward_map import map_axes
from dfmon.tui.render.frame import Frame
from dfmon.tui.what_if_controls import tick_of, what_if_of

_INTERVAL_NS: Final = 10 * SECOND


def _moment(frame: Frame) -> int:
    """The number of the interval, ten seconds of wall time, that the snapshot on screen is in."""
    return 0 if frame.snapshot is None else int(frame.snapshot.ts_ns / (_INTERVAL_NS * frame.clock_speed))


def forward_map_work(frame: Frame) -> list[Work]:
    """The map of the snapshot on screen, with as many moves and hours as there is room for."""
    snapshot, view = frame.snapshot, frame.view
    if snapshot is None:
        return []
    moves, hours = map_axes(snapshot, *view.size)
    key = snapshot.underlying, snapshot.positions.model, view.size, _moment(frame)
    return [Work("forward", key, partial(forward_map_of, snapshot, np.array(moves), np.array(hours)))]


def what_if_work(frame: Frame) -> list[Work]:
    """The numbers first, then the fan, which no change of the view moves, then the grid."""
    tick, snapshot, changed = tick_of(frame), frame.snapshot, tuple(sorted(frame.view.what_if.items()))
    if tick is None or snapshot is None:
        return []
    try:
        shock, params = what_if_of(frame.view, tick)
    except UsageError:
        return []
    key = snapshot.underlying, snapshot.positions.model, _moment(frame)
    return [
        Work("what-if", (*key, changed), partial(what_if_result, tick, shock, params)),
        Work("what-if fan", key, partial(convention_fan, tick)),
        Work("what-if grid", (*key, changed), partial(ngi_grid, tick, shock, params)),
    ]


def settlement_work(frame: Frame) -> list[Work]:
    """The settlement of each snapshot: inside the window the hedge goes by the second."""
    snapshot = frame.snapshot
    if snapshot is None:
        return []
    key = snapshot.underlying, snapshot.positions.model, snapshot.ts_ns
    return [Work("settlement", key, partial(settlement_of, snapshot))]


def vol_work(frame: Frame) -> list[Work]:
    """The term structure with its smiles."""
    snapshot = frame.snapshot
    if snapshot is None:
        return []
    key = snapshot.underlying, snapshot.positions.model, _moment(frame)
    return [Work("vol", key, partial(vol_surface_of, snapshot))]


def profile_work(frame: Frame) -> list[Work]:
    """The horizons of the zoomed profile."""
    tick, snapshot = tick_of(frame), frame.snapshot
    if tick is None or snapshot is None or not frame.view.zoom:
        return []
    key = snapshot.underlying, snapshot.positions.model, _moment(frame)
    return [Work("profile", key, partial(horizon_profiles, tick))]


def own_book_work(frame: Frame) -> list[Work]:
    """The book on the board on screen; its file is read in the thread, once more when it was changed."""
    snapshot, path = frame.snapshot, frame.view.book_file
    if snapshot is None or not path:
        return []
    try:
        changed_ns = Path(path).stat().st_mtime_ns
    except OSError:
        changed_ns = 0
    key = snapshot.underlying, snapshot.positions.model, path, changed_ns, _moment(frame)
    return [Work("book", key, partial(_read_and_price, snapshot, Path(path)))]


def _read_and_price(snapshot: FlowSnapshot, path: Path) -> OwnBook | None:
    """Raises ValueError with the reason why the file cannot be read."""
    try:
        return own_book(snapshot, read_positions(path))
    except UsageError as error:
        raise ValueError(str(error)) from None


def explain_work(frame: Frame) -> list[Work]:
    """The number or word of the view, written out."""
    tick, snapshot, name = tick_of(frame), frame.snapshot, frame.view.explained
    if tick is None or snapshot is None:
        return []
    key = snapshot.underlying, snapshot.positions.model, name, _moment(frame)
    return [Work("explain", key, partial(explain if name in EXPLAINED else explain_term, tick, name))]
