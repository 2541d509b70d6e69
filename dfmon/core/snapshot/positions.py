"""What the snapshot says of dealer positions: in total, option by option, model by model, and why a number is missing.

Comes last in a step, beside `report`. Open interest that is reconciled and prices that are shown are of the same
options: those that can be priced.
"""

from __future__ import annotations

import numpy as np

from dfmon.core.columns import summed
from dfmon.core.exposure.vanna_charm_volga import Totals
from dfmon.core.positions.dealer_net import MODELS
from dfmon.core.scenario.tick_result import Measured
from dfmon.core.snapshot.tables import ratio
from dfmon.model.frames import F64
from dfmon.model.snapshot import ModelRow, PositionRow, Positions
from dfmon.model.units import expiry_label


def summary(m: Measured) -> Positions:
    """Where the positions come from, and how prints and open interest agree.

    Units: as `Positions`. Shapes: one underlying. Domain: any board. Source: none.
    """
    rows, said = m.cols.rows, m.reconciled
    matched, differing = m.chain.requests
    return Positions(
        model=m.model,
        coverage=m.positions.coverage,
        warming=m.warming,
        gross_coins=float(np.abs(m.cols.position).sum()),
        churn=ratio(float(said.change[rows].sum()), float(said.printed[rows].sum())),
        residual=ratio(float(said.unexplained[rows].sum()), float(m.cols.interest.sum())),
        venue_share=m.venue_share,
        requests_checked=matched + differing,
        requests_differing=differing,
    )


def rows(m: Measured) -> tuple[PositionRow, ...]:
    """What dealers hold of each option, in the order of the frame.

    Units: as `PositionRow`. Shapes: one row a priceable option. Domain: a convention has no band. Source: none.
    """
    frame, held, at = m.chain, m.positions, m.cols.rows
    label = [expiry_label(ns) for ns in m.cols.expiries.tolist()]

    def column(values: F64 | None) -> list[float] | list[None]:
        return [None] * at.size if values is None else values[at].tolist()

    return tuple(
        map(
            PositionRow,
            [frame.names[row] for row in at.tolist()],
            [label[code] for code in m.cols.expiry_code.tolist()],
            m.cols.strike.tolist(),
            ["C" if call else "P" for call in (m.cols.option_type > 0.0).tolist()],
            m.cols.interest.tolist(),
            m.cols.position.tolist(),
            column(held.low),
            column(held.high),
            column(held.p_long),
            column(held.seen),
            m.reconciled.last_ns[at].tolist(),
        )
    )


def models(m: Measured) -> tuple[ModelRow, ...]:
    """What every model says of this board, in the order of `MODELS`; a file is among them where one was given.

    Units: as `ModelRow`. Shapes: one row a model. Domain: without a board their numbers are None. Source: none.
    """
    exposure = m.exposure
    flip = None if exposure.flip is None else exposure.flip.level
    said = {row.model: _row(m, row.model, row.totals, row.level) for row in exposure.others}
    said[m.model] = _row(m, m.model, exposure.totals, flip)
    return tuple(said[name] for name in MODELS if name in said)


def _row(m: Measured, model: str, total: Totals, flip: float | None) -> ModelRow:
    if not m.cols.size:
        return ModelRow(model, None, None, None, None, None, 0)
    return ModelRow(model, total.ngi, total.vss, total.chl, total.volg, flip, int(np.sign(total.ngi)))


def reasons(m: Measured, flip: float | None) -> list[str]:
    """A sentence for each number about positions that is missing.

    Units: none. Shapes: any number of sentences. Domain: any board. Source: none.
    """
    said = []
    if m.positions.coverage is None:
        why = "no open interest" if m.model == "flow" else f"positions {m.model} do not rest on history"
        said.append(f"coverage: {why}")
    groups = m.cols.expiries.size
    if not groups or not summed(m.cols.expiry_code, m.cols.interest, groups).all():
        said.append("residual, coverage: no open interest of an expiry or of the board")
    if not groups or not summed(m.cols.expiry_code, m.reconciled.printed[m.cols.rows], groups).all():
        said.append("churn: no print of an expiry or of the board since we watch")
    if not groups or flip is None or any(row.level is None for row in m.exposure.others):
        said.append(
            "models: without a flip the sign of flip_net holds throughout; without a board there is nothing to say"
        )
    matched, differing = m.chain.requests
    if differing:
        said.append(f"{differing} of {matched + differing} block requests: not the trade that was printed")
    unlisted = len(set(m.file_positions or ()) - set(m.chain.names))
    if unlisted:
        said.append(f"{unlisted} position{'s' if unlisted > 1 else ''} of the file: not listed, left out")
    return said
