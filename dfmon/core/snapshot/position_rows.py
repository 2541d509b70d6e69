"""Dealer positions in the snapshot: in total, by option and by model, with the reasons for missing numbers.

Comes last in a step, beside `tables`. Open interest is reconciled over the options that can be priced, which are those
shown.
"""

from __future__ import annotations

import numpy as np

from dfmon.core.columns import group_sums
from dfmon.core.exposure.vanna_charm_volga import Totals, model_row
from dfmon.core.positions.dealer_net import POSITION_MODELS
from dfmon.core.scenario.tick_result import TickResult
from dfmon.core.snapshot.tables import ratio
from dfmon.model.frames import F64
from dfmon.model.snapshot import ModelRow, PositionRow, Positions
from dfmon.model.units import expiry_label


def positions_summary(tick: TickResult) -> Positions:
    """Source of the positions, and agreement of prints with open interest."""
    rows, oi_check = tick.cols.rows, tick.open_interest_check
    matched, differing = tick.chain.block_rfq_checks
    return Positions(
        model=tick.model,
        coverage=tick.positions.coverage,
        warming=tick.warming,
        gross_coins=float(np.abs(tick.cols.position).sum()),
        churn=ratio(float(oi_check.change[rows].sum()), float(oi_check.printed[rows].sum())),
        residual=ratio(float(oi_check.unexplained[rows].sum()), float(tick.cols.open_interest.sum())),
        venue_share=tick.venue_share,
        requests_checked=matched + differing,
        requests_differing=differing,
    )


def position_rows(tick: TickResult) -> tuple[PositionRow, ...]:
    """Dealer position in each option that can be priced, in the order of the frame. A convention has no band."""
    frame, positions, priced_rows = tick.chain, tick.positions, tick.cols.rows
    label = [expiry_label(ns) for ns in tick.cols.expiries.tolist()]

    def column(values: F64 | None) -> list[float] | list[None]:
        return [None] * priced_rows.size if values is None else values[priced_rows].tolist()

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
            tick.open_interest_check.last_ns[priced_rows].tolist(),
        )
    )


def models(tick: TickResult) -> tuple[ModelRow, ...]:
    """One row a model, in the order of `POSITION_MODELS`; a file is among them where one was given.

    Without a board their numbers are None.
    """
    exposure = tick.exposure
    flip = None if exposure.flip is None else exposure.flip.level
    row_by_model = {row.model: _model_row(tick, row.model, row.totals, row.level) for row in exposure.others}
    row_by_model[tick.model] = _model_row(tick, tick.model, exposure.totals, flip)
    return tuple(row_by_model[name] for name in POSITION_MODELS if name in row_by_model)


def _model_row(tick: TickResult, model: str, total: Totals, flip: float | None) -> ModelRow:
    if not tick.cols.size:
        return ModelRow(model, None, None, None, None, None, 0)
    return model_row(model, total, flip, int(np.sign(total.ngi)))


def missing_position_reasons(tick: TickResult, flip: float | None) -> list[str]:
    """A sentence for each missing number about positions."""
    sentences = []
    if tick.positions.coverage is None:
        reason = "no open interest" if tick.model == "flow" else f"positions {tick.model} do not rest on history"
        sentences.append(f"coverage: {reason}")
    groups = tick.cols.expiries.size
    if not groups or not group_sums(tick.cols.expiry_code, tick.cols.open_interest, groups).all():
        sentences.append("residual, coverage: no open interest of an expiry or of the board")
    if (
        not groups
        or not group_sums(tick.cols.expiry_code, tick.open_interest_check.printed[tick.cols.rows], groups).all()
    ):
        sentences.append("churn: no print of an expiry or of the board since we watch")
    if not groups or flip is None or any(row.level is None for row in tick.exposure.others):
        sentences.append(
            "models: without a flip the sign of flip_net holds throughout; without a board there is nothing to say"
        )
    matched, differing = tick.chain.block_rfq_checks
    if differing:
        sentences.append(f"{differing} of {matched + differing} block requests: not the trade that was printed")
    unlisted = len(set(tick.file_positions or ()) - set(tick.chain.names))
    if unlisted:
        sentences.append(f"{unlisted} position{'s' if unlisted > 1 else ''} of the file: not listed, left out")
    return sentences
