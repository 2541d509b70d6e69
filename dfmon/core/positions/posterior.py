"""Samples the ensemble's positions given the prints: direction, class shares, position, band.

The whole past of an option is re-weighted by the current likelihoods: no attribution of a print is final.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.positions.attribution import (
    DIRECTION_NODES,
    INFORMATIVE_KINDS,
    AttributionTables,
    Priors,
)
from dfmon.core.positions.counter_rng import STREAMS
from dfmon.core.positions.inventory import HIGH, LOW, NET, P_LONG, Inventory, default_print_size
from dfmon.model.frames import F64, I64

BAND_QUANTILES: Final = (0.05, 0.95)
BATCH_ROWS: Final = 64  # the working set of a batch fits the cache


def sample_posterior(
    inventory: Inventory, rows: I64, age_hours: I64, tables: AttributionTables, priors: Priors
) -> Inventory:
    """Dealer positions of `rows`: each member's flow under its draws, plus start and drift, clipped.

    Units: coins, + dealers long; `age_hours` in hours. Shapes: (k,) rows. Domain: rows with open interest.
    Source: position = start + flow + drift, clipped to open interest.
    """
    summary, members_by_row, updated_hours = (
        inventory.summary.copy(),
        list(inventory.members),
        inventory.age_hours.copy(),
    )
    for start in range(0, rows.size, BATCH_ROWS):
        batch = rows[start : start + BATCH_ROWS]
        members = _member_positions(inventory, batch, age_hours[batch], tables, priors)
        summary[batch, NET] = members.mean(axis=1)
        summary[batch, LOW], summary[batch, HIGH] = np.quantile(members, BAND_QUANTILES, axis=1)
        summary[batch, P_LONG] = 0.5 + 0.5 * np.sign(members).mean(axis=1)
        for row, member in zip(batch.tolist(), members):
            members_by_row[row] = member.copy()  # a view would retain the whole batch
        updated_hours[batch] = age_hours[batch]
    return replace(inventory, members=tuple(members_by_row), summary=summary, age_hours=updated_hours)


def _member_positions(
    inventory: Inventory, rows: I64, age_hours: I64, tables: AttributionTables, priors: Priors
) -> F64:
    """Dealer position of each of `rows` under each member, (k, MEMBERS) coins."""
    records = inventory.records[rows]
    quantiles, start_normals, drift_normals, stream_draws = inventory.member_draws[:, rows]
    stream, node = _draw_stream_and_node(records["counts"], quantiles, stream_draws, tables)
    flows = np.stack([inventory.flows[row] for row in rows.tolist()])
    customer_position = flows[np.arange(rows.size)[:, None], node, stream]
    start_share = priors.start_mean + priors.trend_coefficient * tables.trend[node] + priors.start_sd * start_normals
    customer_position += records["unobserved_oi"][:, None] * np.clip(start_share, -1.0, 1.0)
    open_interest = records["open_interest"]
    customer_position += _drift_sd(records, age_hours, priors)[:, None] * drift_normals
    return np.asarray(np.clip(-customer_position, -open_interest[:, None], open_interest[:, None]))


def _draw_stream_and_node(counts: F64, quantile: F64, stream_draws: F64, tables: AttributionTables) -> tuple[I64, I64]:
    """The stream of class shares and the node of customers' direction of each member, for each option.

    A stream keeps its members with its posterior probability over that of the likeliest stream; the others move to
    streams drawn by these probabilities, so that the members are a sample of the posterior. The direction is each
    member's quantile of its posterior within the stream. Sums run in a fixed order, so that the bits do not depend on
    the batch size.

    Source: Rao-Blackwellised importance resampling; Liu, Chen & Wong (1998), rejection control.
    """
    weights = np.zeros((counts.shape[0], DIRECTION_NODES, STREAMS)) + tables.log_prior[:, None]
    for kind in INFORMATIVE_KINDS:
        for code in (2 * kind, 2 * kind + 1):
            weights += counts[:, code, None, None] * tables.log_likelihood[code]
    weights -= weights.max(axis=(1, 2), keepdims=True)
    np.exp(weights, out=weights)
    cumulative = np.cumsum(weights, axis=1)
    stream_weight = cumulative[:, -1].copy()
    stream_weight /= stream_weight.max(axis=1, keepdims=True)
    stream = np.broadcast_to(np.arange(STREAMS), stream_weight.shape).copy()
    option, redrawn = np.nonzero(stream_draws[:, :STREAMS] >= stream_weight)
    if option.size:
        cumulative_stream = np.cumsum(stream_weight, axis=1)
        target = stream_draws[option, STREAMS + redrawn] * cumulative_stream[option, -1]
        stream[option, redrawn] = (target[:, None] > cumulative_stream[option]).sum(axis=1)
    member_stream = np.concatenate([stream, stream], axis=1)
    node_cdf = np.take_along_axis(cumulative, member_stream[:, None, :], axis=2)
    return member_stream, np.asarray((quantile[:, None, :] * node_cdf[:, -1:] > node_cdf[:, :-1]).sum(axis=1))


def _drift_sd(records: NDArray[np.void], age_hours: I64, priors: Priors) -> F64:
    """Standard deviation of unprinted moves: daily transfers, unexplained open interest, lost prints."""
    days = np.maximum(age_hours, 0) / 24.0
    with np.errstate(invalid="ignore", divide="ignore"):
        typical_size = np.where(
            records["volume"] > 0.0, records["sum_sq_size"] / records["volume"], default_print_size(records)
        )
    return np.asarray(
        np.sqrt(
            (priors.drift * records["open_interest"]) ** 2 * days
            + records["variance"]
            + records["lost_qty"] * typical_size
        )
    )
