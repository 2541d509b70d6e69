"""Dealer positions in the snapshot: in total, by option and by model, with the reasons for missing numbers.

Open interest is reconciled over the options that can be priced, which are those
shown.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import numpy as np

from dfmon.core.columns import group_sums
from dfmon.core.positions.opening_rates import OpeningRates
from dfmon.core.scenario.buckets import Bucket
from dfmon.core.scenario.tick_result import TickResult
from dfmon.core.snapshot.metric_values import hpp_terms
from dfmon.core.snapshot.tables import known_unexplained, ratio
from dfmon.model.frames import F64
from dfmon.model.metrics import metrics_at
from dfmon.model.positions import Positions
from dfmon.model.snapshot import ModelRow
from dfmon.model.tables import PositionRow, Sources
from dfmon.model.units import expiry_label

_OPTION_NAME: Final = re.compile(r"([A-Z0-9]+)(?:_[A-Z]+)?-\d{1,2}[A-Z]{3}\d\d-")


def positions_summary(tick: TickResult) -> Positions:
    """Source of the positions, and agreement of prints with open interest."""
    rows, oi_check = tick.cols.rows, tick.open_interest_check
    matched, differing = tick.chain.block_rfq_checks
    rates = tick.rates
    measured = tick.model == "flow" and rates.slope_error is not None
    return Positions(
        model=tick.model,
        coverage=tick.positions.coverage,
        warming=tick.warming,
        gross_coins=float(np.abs(tick.cols.position).sum()),
        churn=ratio(float(oi_check.change[rows].sum()), float(oi_check.printed[rows].sum())),
        residual=ratio(float(tick.provenance.unexplained.sum()), float(tick.changed_open_interest.sum())),
        venue_share=tick.venue_share,
        requests_checked=matched + differing,
        requests_differing=differing,
        signal=rates.signal_sd if measured else None,
        signal_error=signal_error(rates) if measured else None,
        opening_slope=rates.slope if measured else None,
        opening_slope_error=rates.slope_error if measured else None,
        decided=tick.decided,
        residual_of_change=_residual_of_change(tick) if tick.model == "flow" else None,
        faults=dict(tick.provenance.faults) if tick.model == "flow" else {},
    )


def _residual_of_change(tick: TickResult) -> float | None:
    return ratio(float(tick.provenance.unexplained.sum()), float(tick.provenance.change.sum()))


def signal_error(rates: OpeningRates) -> float | None:
    """Standard error of `signal_sd`, which is the root of what has one."""
    if rates.signal_error is None:
        return None
    return rates.signal_error / max(2.0 * rates.signal_sd, math.sqrt(rates.signal_error))


def position_rows(tick: TickResult) -> tuple[PositionRow, ...]:
    """Dealer position in each option that can be priced, in the order of the frame. A convention has no band."""
    frame, positions, priced_rows, found = tick.chain, tick.positions, tick.cols.rows, tick.provenance
    estimated = tick.model == "flow"
    label = [expiry_label(ns) for ns in tick.cols.expiries.tolist()]

    def column(values: F64 | None) -> list[float] | list[None]:
        return [None] * priced_rows.size if values is None else values[priced_rows].tolist()

    def origin(values: list[Any]) -> list[Any]:
        return values if estimated else [None] * priced_rows.size

    return tuple(
        map(
            PositionRow,
            [frame.names[row] for row in priced_rows.tolist()],
            [label[code] for code in tick.cols.expiry_code.tolist()],
            tick.cols.strike.tolist(),
            ["C" if call else "P" for call in (tick.cols.option_type > 0.0).tolist()],
            tick.cols.open_interest.tolist(),
            tick.cols.position.tolist(),
            column(positions.low),
            column(positions.high),
            column(positions.p_long),
            column(positions.seen),
            [newest or None for newest in tick.open_interest_check.last_ns[priced_rows].tolist()],
            origin([Sources(*parts) for parts in found.sources.tolist()]),
            origin(found.full_history.tolist()),
            *(origin(values.tolist()) for values in (found.printed, found.lost, found.change)),
            origin(known_unexplained(found.unexplained, found.change)),
        )
    )


def model_row(tick: TickResult, bucket: Bucket | None) -> ModelRow:
    """The headline numbers of a position model. Without a book they are None."""
    flip, total, terms = tick.exposure.flip, tick.exposure.totals, hpp_terms(tick)
    return ModelRow(
        tick.model,
        flip=None if flip is None else flip.level,
        flip_net=0 if terms is None else int(np.sign(total.ngi)),
        bucket=int(bucket or 0),
        coverage=tick.positions.coverage,
        hpp=None if terms is None else sum(terms),
        psi=tick.psi,
        **{name: None if terms is None else getattr(total, name) for name in metrics_at("gauge")},
    )


def missing_position_reasons(tick: TickResult) -> list[str]:
    """A sentence for each missing number about positions."""
    sentences = ["models: no flip where one sign holds throughout; no number without a board or known positions"]
    if not tick.positions.known:
        sentences.append(
            "metrics, unwind, flip, regime, by_expiry, by_strike, levels.call_wall, levels.put_wall, levels.key_gamma: "
            f"positions unknown, {_unknown_reason(tick)}; `models` has the conventions"
        )
    if tick.positions.coverage is None:
        reason = "no open interest" if tick.model == "flow" else f"positions {tick.model} do not rest on history"
        sentences.append(f"coverage: {reason}")
    groups = tick.cols.expiries.size
    if not groups or not group_sums(tick.cols.expiry_code, tick.cols.open_interest, groups).all():
        sentences.append("residual, coverage: no open interest of an expiry or of the board")
    if not tick.provenance.change.all():
        sentences.append("residual, unexplained: open interest of an option, an expiry or the board not seen to change")
    if tick.decided is None:
        sentences.append(
            "signal, opening_slope, decided: fewer than two hundred prints with open interest around them"
            if tick.model == "flow"
            else f"signal, opening_slope, decided: positions {tick.model} do not rest on prints"
        )
    elif not tick.decided:
        sentences.append("sign undecided: on this board open interest tells too little of who opens and who closes")
    sentences += _missing_provenance_reasons(tick)
    if not tick.open_interest_check.last_ns[tick.cols.rows].all():
        sentences.append("last_ns: no print of an option seen")
    if not _every_row_printed(tick):
        sentences.append("churn: no print of a strike, an expiry or the board since we watch")
    matched, differing = tick.chain.block_rfq_checks
    if differing:
        sentences.append(f"{differing} of {matched + differing} block requests: not the trade that was printed")
    named = [name for name in tick.file_positions or () if not _is_of_another(name, tick.chain.underlying)]
    unlisted = len(set(named) - set(tick.chain.names))
    if unlisted:
        sentences.append(f"{unlisted} of {len(named)} positions of the file: not listed, left out")
    return sentences


def _is_of_another(name: str, underlying: str) -> bool:
    """True for an option's name that begins with another underlying."""
    option = _OPTION_NAME.match(name)
    return option is not None and option[1] != underlying


def _unknown_reason(tick: TickResult) -> str:
    if tick.model == "file":
        return "no option of the file is listed"
    return "no history of any option has been seen"


def _missing_provenance_reasons(tick: TickResult) -> list[str]:
    if tick.model != "flow":
        names = "sources, full_history, full_history_net, printed, lost, change, unexplained, residual_of_change"
        return [f"{names}: positions {tick.model} do not rest on prints"]
    sentences = []
    if not tick.positions.known and tick.cols.size:
        sentences.append("sources, full_history_net, change, unexplained: positions unknown")
    if _residual_of_change(tick) is None:
        sentences.append("residual_of_change: open interest has not changed since it is watched")
    return sentences


def _every_row_printed(tick: TickResult) -> bool:
    """Prints have been seen of each strike and of each expiry, of which there is at least one."""
    cols, printed = tick.cols, tick.open_interest_check.printed[tick.cols.rows]
    by_strike = group_sums(cols.strike_code, printed, cols.strikes.size)
    by_expiry = group_sums(cols.expiry_code, printed, cols.expiries.size)
    return bool(cols.size and by_strike.all() and by_expiry.all())
