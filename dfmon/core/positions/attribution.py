"""Attribution of prints: priors over the parties to a print, and the tables that turn a taker's side into a position.

A print has one of four classes: a customer took from a dealer, a dealer took a customer's order, both were customers,
both were dealers. Their shares are priors, since nothing public identifies the parties: every member of the ensemble
has its own, drawn around the ones below. The probability that customers of an option buy is unknown too and is
learned from its prints. It is discretised on a few nodes, and what each print adds to the customers' position is
accumulated per node, so the whole past is re-weighted as the direction becomes clear.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec
import numpy as np

from dfmon.core.positions.counter_rng import CLASSES, STREAMS, stratified_normals
from dfmon.model.frames import F64, I64, TradeColumns

ClassShares: TypeAlias = tuple[float, float, float, float]
SCREEN, BLOCK, RFQ, COMBO, TAKER_LIQUIDATED, MAKER_LIQUIDATED, BOTH_LIQUIDATED = range(7)
PRINT_KINDS: Final = 7
INFORMATIVE_KINDS: Final = (SCREEN, BLOCK, RFQ)  # a combo leg follows its combo, and a liquidation is forced
DIRECTION_NODES: Final = 7
_LIQUIDATION_KINDS: Final = {"T": TAKER_LIQUIDATED, "M": MAKER_LIQUIDATED, "MT": BOTH_LIQUIDATED}


_CONFIG_KEYS: Final = {
    "dirichlet_concentration": "certainty",
    "contrarian_shares": "sceptic",
    "contrarian_prior_weight": "sceptics",
    "trend_coefficient": "lean",
}
"""Names of these fields in config.toml, in journals, and in what the digest of the priors covers."""


class Priors(msgspec.Struct, frozen=True, rename=_CONFIG_KEYS):
    """Beliefs before the first print. Shares add up to 1, in the order of the classes above.

    `dirichlet_concentration` is the weight of the shares, in prints. A fraction `contrarian_prior_weight` of the
    members starts with `contrarian_shares` for every kind but liquidations: takers are then hardly more often
    customers than dealers, and the same prints imply a stronger direction of customers. Without these members an
    error in the class shares would leave the band too narrow. `direction` is the parameter of the symmetric Beta
    prior of a customer's probability to buy. Customers start `start_mean` +- `start_sd` of open interest long, plus
    `trend_coefficient` times the direction of their trading since. `drift` is the share of open interest that moves
    unobserved in a day (one standard deviation).
    """

    screen: ClassShares = (0.74, 0.12, 0.08, 0.06)
    block: ClassShares = (0.52, 0.30, 0.13, 0.05)
    rfq: ClassShares = (0.52, 0.30, 0.13, 0.05)
    combo: ClassShares = (0.74, 0.12, 0.08, 0.06)
    taker_liquidated: ClassShares = (0.88, 0.02, 0.09, 0.01)
    maker_liquidated: ClassShares = (0.02, 0.75, 0.22, 0.01)
    both_liquidated: ClassShares = (0.01, 0.01, 0.97, 0.01)
    dirichlet_concentration: float = 38.0
    contrarian_shares: ClassShares = (0.48, 0.40, 0.08, 0.04)
    contrarian_prior_weight: float = 0.05
    direction: float = 1.0
    start_mean: float = -0.10
    start_sd: float = 0.56
    trend_coefficient: float = 1.0
    drift: float = 0.015


@dataclass(frozen=True, slots=True)
class AttributionTables:
    """`Priors` as lookup tables for prints.

    A draw below `customer_taker_below` makes the taker a customer of a dealer, one from `customer_maker_from` on a
    dealer who took a customer's order: (KINDS, 2, NODES, STREAMS), the second axis 0 for a sell. `log_likelihood` is
    the log probability of that side, (2 KINDS, NODES, STREAMS); `log_prior` the log prior of each node, `trend` 2 pb
    - 1.
    """

    customer_taker_below: F64
    customer_maker_from: F64
    log_likelihood: F64
    log_prior: F64
    trend: F64


@lru_cache(maxsize=8)
def attribution_tables(priors: Priors) -> AttributionTables:
    """The tables of `priors`.

    With customers who buy with probability pb, P(s = +) = p0 pb + p1 (1 - pb) + (p2 + p3) / 2, and the class behind a
    side follows by Bayes. Uninformative kinds keep the prior shares, so all legs of a combo have one class.

    Shapes: as `AttributionTables`. Domain: shares >= 0. Source: Bayes' rule; Dirichlet by gamma quantiles.
    """
    nodes = (np.arange(DIRECTION_NODES) + 0.5) / DIRECTION_NODES
    customer_taker_below = np.empty((PRINT_KINDS, 2, DIRECTION_NODES, STREAMS))
    customer_maker_from = np.empty_like(customer_taker_below)
    log_likelihood = np.zeros_like(customer_taker_below)
    kinds = (priors.screen, priors.block, priors.rfq, priors.combo,
             priors.taker_liquidated, priors.maker_liquidated, priors.both_liquidated)  # fmt: skip
    for kind, shares in enumerate(kinds):
        p0, p1, p2, p3 = _stream_class_shares(priors, kind, shares)
        for side, buys in enumerate((1.0 - nodes[:, None], nodes[:, None])):
            if kind in INFORMATIVE_KINDS:
                side_probability = p0 * buys + p1 * (1.0 - buys) + 0.5 * (p2 + p3)
                customer_taker_below[kind, side], customer_maker_from[kind, side] = (
                    p0 * buys / side_probability,
                    1.0 - p1 * (1.0 - buys) / side_probability,
                )
                log_likelihood[kind, side] = np.log(side_probability)
            else:
                customer_taker_below[kind, side], customer_maker_from[kind, side] = p0, 1.0 - p1
    log_prior = (priors.direction - 1.0) * np.log(nodes * (1.0 - nodes))
    return AttributionTables(
        customer_taker_below,
        customer_maker_from,
        log_likelihood.reshape(2 * PRINT_KINDS, DIRECTION_NODES, STREAMS),
        log_prior,
        2.0 * nodes - 1.0,
    )


def _stream_class_shares(priors: Priors, kind: int, shares: ClassShares) -> F64:
    """Class shares of each stream for one kind, drawn around `shares`, contrarian streams first; (4, STREAMS)."""
    contrarian_streams = round(priors.contrarian_prior_weight * STREAMS) if kind < TAKER_LIQUIDATED else 0
    normal = stratified_normals(np.arange(4, dtype=np.uint64) + np.uint64(4 * kind), CLASSES)
    class_shares = _dirichlet(shares, priors.dirichlet_concentration, normal)
    class_shares[:, :contrarian_streams] = _dirichlet(
        priors.contrarian_shares, priors.dirichlet_concentration, normal[:, :contrarian_streams]
    )
    return class_shares


def _dirichlet(shares: ClassShares, concentration: float, normal: F64) -> F64:
    """Gamma quantiles, normalised to 1; the quantiles by Wilson & Hilferty (1931)."""
    alpha = concentration * np.array(shares)[:, None]
    positive_alpha = np.maximum(alpha, 1e-9)
    gamma = alpha * np.maximum(1.0 - 1.0 / (9.0 * positive_alpha) + normal / (3.0 * np.sqrt(positive_alpha)), 0.0) ** 3
    return np.asarray(gamma / gamma.sum(axis=0))


def print_kinds(trades: TradeColumns) -> I64:
    """The kind of each print: a liquidation before a block, a block before a combo.

    Shapes: (k,) -> (k,). Source: the venue's flags.
    """
    kinds = np.where(trades.combo, COMBO, SCREEN)
    kinds = np.where(trades.block, np.where(trades.rfq, RFQ, BLOCK), kinds)
    if any(trades.liquidation):
        forced = np.array([_LIQUIDATION_KINDS.get(flag, -1) for flag in trades.liquidation])
        kinds = np.where(forced >= 0, forced, kinds)
    return kinds.astype(np.int64)
