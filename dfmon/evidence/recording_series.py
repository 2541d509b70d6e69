"""A recording played through the engine as series of minutes. Minutes with a hole in them are left out and counted."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfmon.core.step import FlowParams
from dfmon.evidence.history_series import last_of_minutes, usable_series
from dfmon.evidence.minute_series import MinuteSeries
from dfmon.model.errors import UsageError
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import MINUTE
from dfmon.replay import open_source
from dfmon.replay.sources import play_through
from dfmon.store.blocks import Damage
from dfmon.store.integrity import IntegrityCheck, Irregularity
from dfmon.store.replayer import RecordingReader

_ONE_PERCENT: Final = 0.01


class RecordedRow(NamedTuple):
    """The numbers of a tick; NaN where a snapshot had none. Flows are those of the last minute, USD."""

    ts_ns: int
    spot: float
    psi: float
    gross: float
    implied_vol: float
    taker: float
    forced: float
    depth: float


def read_recording(path: Path, progress: Callable[[str], None]) -> tuple[dict[str, MinuteSeries], list[str]]:
    """The series of each underlying, and sentences on holes and on what is too short. Raises UsageError."""
    rows: dict[str, list[RecordedRow]] = {}

    def collect(snapshot: FlowSnapshot) -> None:
        own = rows.setdefault(snapshot.underlying, [])
        row = recorded_row(snapshot)
        if own and own[-1].ts_ns // MINUTE == row.ts_ns // MINUTE:
            own.pop()
        else:
            progress(f"{snapshot.ts[:16]}")
        own.append(row)

    check = _integrity(path)
    play_through(open_source(path, None, FlowParams(), across_gaps=True), collect)
    found, skipped = usable_series({name: series_of_rows(own, check.found) for name, own in rows.items()})
    notes = [check.line(), *skipped]
    if not found:
        raise UsageError(f"{path}: too short for an evaluation: {'; '.join(skipped) or 'it has no tick'}")
    return found, notes


def _integrity(path: Path) -> IntegrityCheck:
    check, damage = IntegrityCheck(), list[Damage]()
    session = -1
    for record, started_ns in RecordingReader(path).records(allow_gaps=True, damage=damage):
        if started_ns != session:
            check.new_session()
            session = started_ns
        if record.kind != 0:  # not that of the session, whose time is its start
            check.add_record(record)
    check.add_damage(damage)
    return check


def recorded_row(snapshot: FlowSnapshot) -> RecordedRow:
    """The numbers of a snapshot; a stale one has none but its time."""
    if snapshot.state == "stale":
        return RecordedRow(snapshot.ts_ns, *(math.nan,) * 7)
    depth = _known(snapshot.liquidity.depth_1pct_usd or None)
    gross = next((row.ngi for row in snapshot.models if row.model == "short-all"), None)
    minute = snapshot.micro.window(1)
    taker = forced = math.nan
    if minute is not None:
        taker = _known(minute.taker_buy_usd) - _known(minute.taker_sell_usd)
        forced = _known(minute.short_liquidated_usd) - _known(minute.long_liquidated_usd)
    return RecordedRow(
        snapshot.ts_ns,
        _known(snapshot.spot),
        _known(snapshot.metrics.psi.value),
        abs(_known(gross)) / depth,
        _known(snapshot.context.atm_iv),
        taker,
        forced,
        depth,
    )


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def series_of_rows(rows: list[RecordedRow], holes: list[Irregularity]) -> MinuteSeries:
    """Rows of one underlying by minutes, without the minutes that a hole or a clock set back touches."""
    columns = np.array(rows, np.float64)
    ts_ns = np.array([row.ts_ns for row in rows], np.int64)
    order = np.argsort(ts_ns, kind="stable")
    ends, by_minute = last_of_minutes(ts_ns[order], columns[order])
    by_minute[_touched(ends, holes)] = np.nan
    spot, psi, gross, implied_vol, taker, forced, depth = by_minute.T[1:]
    move = _ONE_PERCENT / depth
    stale = np.concatenate([np.full(min(1_440, ends.size), np.nan), psi[:-1_440]])[: ends.size]
    returns = np.append(np.nan, np.diff(np.log(spot)))
    return MinuteSeries(ends, returns, psi, gross, stale, forced * move, taker * move, implied_vol, stale_psi=True)


def _touched(ends: NDArray[np.int64], holes: list[Irregularity]) -> NDArray[np.bool_]:
    touched = np.zeros(ends.size, np.bool_)
    for hole in holes:
        if hole.from_ns:
            touched |= (ends > hole.from_ns) & (ends - MINUTE < hole.until_ns)
    return touched
