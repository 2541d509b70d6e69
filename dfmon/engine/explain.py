"""One metric of a tick written out: formula, terms, inputs with ages, largest contributors, other conventions.

Everything comes from the tick itself: its results, and the same tick under one other parameter at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np
from msgspec import UNSET

from dfmon.core.freshness import measure_freshness
from dfmon.core.positions.dealer_net import POSITION_MODELS
from dfmon.core.scenario.tick_result import TickResult
from dfmon.core.snapshot.build import BookResult
from dfmon.core.step import FlowParams, step
from dfmon.engine.what_if import TickInputs, shocked_chain
from dfmon.model.explain import Contributor, Convention, ExplainedInput, Explanation
from dfmon.model.frames import F64
from dfmon.model.freshness import InputAge
from dfmon.model.metrics import EXPOSURE_INDEX, METRICS
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.what_if import Shock

LARGEST: Final = 10
EXPLAINED: Final = (*METRICS, "flip")
_TOLERANCE: Final = 1e-6  # of the value: contributors that do not add up to it are not its parts


def explain(tick: TickInputs, metric: str) -> Explanation:
    """The metric of the published position model.

    Units: of `model.metrics`; "flip" USD. Domain: `metric` one of EXPLAINED; missing numbers are None with reasons.
    """
    snapshot = step(*tick)[1]
    result = book_result(snapshot)
    title, formula, unit, sign = _description(metric)
    value, low, high = _value(snapshot, metric)
    contributors, total, priced = largest_contributors(tick, result.tick, snapshot, metric)
    is_linear = metric != "flip" and value is not None and total is not None
    missing = [text for text in snapshot.unavailable if value is None and _concerns(text, metric)]
    if is_linear and not math.isclose(total or 0.0, value or 0.0, rel_tol=_TOLERANCE, abs_tol=1e-6):
        contributors = ()
        missing.append("contributors: positions changed within the look-back, so today's are not those of the trade")
    return Explanation(
        metric=metric,
        title=title,
        formula=formula,
        unit=unit,
        sign=sign,
        underlying=snapshot.underlying,
        ts=snapshot.ts,
        model=snapshot.positions.model,
        quality=snapshot.flip.quality if metric == "flip" else getattr(snapshot.metrics, metric).quality,
        value=value,
        lo=low,
        hi=high,
        terms=tuple(_terms(result.tick, snapshot, metric)),
        inputs=aged_inputs(tick, result.tick, snapshot, metric),
        contributors=contributors,
        contributors_sum=total,
        options=priced,
        conventions=tuple(_conventions(tick, snapshot, metric, value)),
        missing=tuple(missing),
        stale=snapshot.state == "stale",
        sign_doubt=snapshot.positions.sign_doubt,
    )


def book_result(snapshot: FlowSnapshot) -> BookResult:
    """All results behind a snapshot that `step` has made."""
    assert snapshot.views is not UNSET
    assert isinstance(snapshot.views.result, BookResult)
    return snapshot.views.result


def _description(metric: str) -> tuple[str, str, str, str]:
    if metric == "flip":
        return "gamma flip", "the zero of the net gamma profile nearest to spot", "USD", ""
    spec = METRICS[metric]
    return spec.title, spec.formula, spec.unit, spec.sign


def _value(snapshot: FlowSnapshot, metric: str) -> tuple[float | None, float | None, float | None]:
    if metric == "flip":
        return snapshot.flip.level, snapshot.flip.lo, snapshot.flip.hi
    number = getattr(snapshot.metrics, metric)
    return number.value, number.lo, number.hi


def _concerns(sentence: str, metric: str) -> bool:
    names = sentence.partition(":")[0].replace(",", " ").split()
    return any(name.split(".")[-1] == metric or name.split(".")[0] in (metric, "metrics") for name in names)


# ---- parts ---------------------------------------------------------------------------------------------------------


def _terms(tick: TickResult, snapshot: FlowSnapshot, metric: str) -> Iterator[tuple[str, float]]:
    """The terms that add up to a derived metric."""
    if not tick.has_book:
        return
    if metric == "hpp":
        total, hpp, shares = tick.exposure.totals, snapshot.metrics.hpp, tick.hedge_shares
        if hpp.ds_sign:
            yield "sign(dS) NGI", hpp.ds_sign * shares.gamma * total.ngi
        yield "a VSS", shares.vanna_charm * (hpp.alpha or 0.0) * total.vss
        yield "b CHL", shares.vanna_charm * (hpp.beta or 0.0) * total.chl
    if metric == "hedge_flow" and tick.flows.hedge is not None:
        yield "gamma", tick.flows.hedge.gamma
        yield "vanna", tick.flows.hedge.vanna
        yield "charm", tick.flows.hedge.charm
        yield "settlement", tick.flows.hedge.settlement


def _unit_values(tick: TickResult, snapshot: FlowSnapshot, metric: str) -> F64 | None:
    """Value of +1 coin of each option; None where the metric is not a sum over options.

    Units: of the metric. Shapes: (n,) of the priceable options.
    """
    board = tick.exposure.board

    def unit(name: str) -> F64:
        return np.asarray(board.unit.column(name)[board.points.point])

    if metric in EXPOSURE_INDEX:
        return unit(metric)
    if metric == "hpp":
        hpp, shares = snapshot.metrics.hpp, tick.hedge_shares
        slow = (hpp.alpha or 0.0) * unit("vss") + (hpp.beta or 0.0) * unit("chl")
        return hpp.ds_sign * shares.gamma * unit("ngi") + shares.vanna_charm * slow
    if metric == "psi" and tick.psi is not None and tick.exposure.totals.ngi:
        return unit("ngi") * (tick.psi / tick.exposure.totals.ngi)
    if metric == "hedge_flow" and tick.moves.hedge is not None:
        gamma, rest = tick.hedge_shares.gamma, tick.hedge_shares.vanna_charm
        return np.asarray((np.array([gamma, rest, rest, rest]) @ tick.moves.hedge.parts)[: tick.cols.size])
    return None


def largest_contributors(
    inputs: TickInputs, tick: TickResult, snapshot: FlowSnapshot, metric: str
) -> tuple[tuple[Contributor, ...], float | None, int]:
    """The largest parts by option, their sum over all options, and the number of these.

    Those of the flip are the gammas that cancel there: NGI with spot at the level.
    """
    if not tick.has_book:
        return (), None, 0
    unit = _unit_values(tick, snapshot, metric)
    if metric == "flip" and snapshot.flip.level is not None:
        move = 100.0 * (snapshot.flip.level / inputs.chain.spot - 1.0)
        chain = shocked_chain(inputs.chain, Shock(spot_pct=move), inputs.params.stickiness)
        at_level = book_result(step(*inputs._replace(chain=chain))[1]).tick
        unit = _unit_values(at_level, snapshot, "ngi")
    if unit is None:
        return (), None, 0
    return (*contributors_by_size(tick, unit), tick.cols.size)


def contributors_by_size(tick: TickResult, unit: F64) -> tuple[tuple[Contributor, ...], float]:
    """The LARGEST parts of a sum over the book, and the sum.

    Units: `unit` is the value of +1 coin. Shapes: (n,) of the priceable options.
    """
    parts = unit * tick.cols.position
    gross = float(np.abs(parts).sum())
    largest = np.argsort(-np.abs(parts), kind="stable")[:LARGEST].tolist() if gross else []
    rows = tuple(
        Contributor(
            option=tick.chain.names[int(tick.cols.rows[at])],
            position=float(tick.cols.position[at]),
            unit_value=float(unit[at]),
            value=float(parts[at]),
            share=abs(float(parts[at])) / gross,
        )
        for at in largest
    )
    return rows, float(parts.sum())


# ---- inputs and conventions ----------------------------------------------------------------------------------------


def aged_inputs(
    inputs: TickInputs, tick: TickResult, snapshot: FlowSnapshot, metric: str
) -> tuple[ExplainedInput, ...]:
    """The inputs that the metric rests on, with their ages against the limits."""
    ages = measure_freshness(inputs.chain, inputs.market, inputs.params.freshness)
    hours, hpp = snapshot.context.next_expiry_hours, snapshot.metrics.hpp
    rows = [
        _aged("spot", snapshot.spot, "USD", ages.spot),
        _aged("options priced", float(tick.cols.size), "", ages.marks),
        _aged("ATM volatility", snapshot.context.atm_iv, "per year", ages.marks),
        _aged("forward of the first expiry", _first_forward(tick), "USD", ages.forwards),
        _aged("open interest", float(tick.cols.open_interest.sum()), "coins", ages.open_interest),
        ExplainedInput("hours to the first expiry", hours, "h"),
        ExplainedInput("coverage of the positions", snapshot.positions.coverage, "share"),
    ]
    if metric == "hpp":
        rows += [
            ExplainedInput("sign(dS) of 15 min", float(hpp.ds_sign) or None, ""),
            ExplainedInput("a", hpp.alpha, ""),
            ExplainedInput("b", hpp.beta, ""),
        ]
    if metric in ("hpp", "hedge_flow"):
        rows += [
            ExplainedInput("return of 15 min", tick.spot_moves.ret_15m, "log"),
            ExplainedInput("volatility of 15 min", tick.moves.points_15m, "points"),
            ExplainedInput("share of gamma hedged", tick.hedge_shares.gamma, ""),
        ]
    if metric == "psi":
        depth, volume = tick.liquidity.depth_usd, tick.liquidity.adv_usd
        rows += [
            _aged("depth within 1 %", depth, "USD", ages.depth),
            _aged("volume of 24 h", volume, "USD", ages.volumes),
        ]
    return tuple(rows)


def _aged(name: str, value: float | None, unit: str, age: InputAge) -> ExplainedInput:
    return ExplainedInput(name, value, unit, age.age_s, age.limit_s)


def _first_forward(tick: TickResult) -> float | None:
    return float(tick.cols.forward[np.argmin(tick.cols.tau)]) if tick.cols.size else None


def _conventions(tick: TickInputs, snapshot: FlowSnapshot, metric: str, value: float | None) -> Iterator[Convention]:
    """The metric under each other position model, numeraire and stickiness; psi also under the other law of impact."""
    for name, params in other_params(tick.params):
        if params.impact_law != tick.params.impact_law and metric != "psi":
            continue
        other = _value(step(*tick._replace(params=params))[1], metric)
        change = None if value is None or other[0] is None else other[0] - value
        yield Convention(name, *other, change)


def other_params(params: FlowParams) -> Iterator[tuple[str, FlowParams]]:
    """Name and parameters of each convention that differs from these in one point."""
    for model in POSITION_MODELS:
        if model != params.positions and (model != "file" or params.file_positions is not None):
            yield f"positions {model}", params.with_positions(model)
    numeraire = "coin" if params.numeraire == "usd" else "usd"
    yield f"numeraire {numeraire}", msgspec.structs.replace(params, numeraire=numeraire)
    stickiness = "moneyness" if params.stickiness == "strike" else "strike"
    yield f"stickiness {stickiness}", msgspec.structs.replace(params, stickiness=stickiness)
    law = "sqrt" if params.impact_law == "linear" else "linear"
    yield f"impact law {law}", msgspec.structs.replace(params, impact_law=law)
