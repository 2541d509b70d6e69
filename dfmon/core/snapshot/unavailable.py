"""Reasons for missing numbers of the snapshot: a sentence for each null.

Before its colon a sentence names the fields; a name
stands for the fields that start with it or lie below it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from dfmon.core.freshness import INPUTS, format_age
from dfmon.core.scenario.liquidity import MarketSum
from dfmon.core.scenario.lookback import FULL_LOOKBACK_S
from dfmon.core.scenario.tick_result import TickResult
from dfmon.core.snapshot import flip_values, position_rows, scenario_values
from dfmon.model.events import FeedState
from dfmon.model.flip import Flip, Regime
from dfmon.model.frames import FeedHealth
from dfmon.model.scenario import Features, Scenario
from dfmon.model.snapshot import Context, Levels

_MAX_NAMES: Final = 4


def unavailable(
    tick: TickResult,
    flip: Flip,
    regime: Regime,
    levels: Levels,
    context: Context,
    scenario: Scenario,
    features: Features,
) -> tuple[str, ...]:
    """A sentence for each null of the snapshot, and one for each kind of row that was left out."""
    sentences: list[str] = [*tick.cols.exclusions, *(f"{n} {problem}: left out" for problem, n in tick.chain.rejected)]
    sentences += _freshness_sentences(tick)
    sentences += scenario_values.missing_scenario_reasons(features, scenario)
    if tick.chain.spot_ns == 0:
        sentences.append("spot, flip, regime, age_s: no index price yet")
    if not tick.cols.size:
        sentences.append(
            "metrics, unwind, flip, regime, levels, context.atm_iv, context.next_expiry: no priceable option yet"
        )
    elif tick.exposure.members is None:
        bands = "lo, hi, at_window_lo, at_window_hi, until_window_lo, until_window_hi, p_none, agree, p"
        sentences.append(f"{bands}: positions {tick.model} are a convention, which has no band")
    sentences += flip_values.missing_flip_reasons(tick, flip, regime)
    sentences += position_rows.missing_position_reasons(tick)
    if tick.spot_moves.ret_15m is None:
        sentences.append("context.return_15m: less than a minute of spot history")
    elif context.return_15m is None:
        sentences.append("context.return_15m: less than fifteen minutes of spot history")
    if tick.has_book and not tick.ds_sign:
        sentences.append("hpp.gamma_term: spot has not yet left its dead band of 0.25 sigma sqrt(15 min)")
    if not tick.scale.is_set:
        sentences.append("hpp.alpha, hpp.beta: no volatility of the next 24 hours yet")
    sentences += _hedge_flow_sentences(tick)
    if tick.spot_moves.ret_1h is None:
        sentences.append("context.return_1h: less than an hour of spot history")
    if not tick.liquidity.depth_usd:
        sentences.append(f"psi, liquidity.depth_1pct_usd: no venue depth{_known_markets(tick.liquidity.depth)}")
    else:
        sentences += _partial_sentences("liquidity.depth_1pct_usd", tick.liquidity.depth)
    if tick.liquidity.adv_usd is None:
        sentences.append(f"liquidity.adv_usd: no venue volume{_known_markets(tick.liquidity.volume)}")
    else:
        sentences += _partial_sentences("liquidity.adv_usd", tick.liquidity.volume)
    missing = {"dvol": "no volatility index", "funding": "no perpetual's funding", "basis": "no forward and spot"}
    sentences += [f"context.{name}: {reason}" for name, reason in missing.items() if getattr(context, name) is None]
    if tick.cols.size:
        sentences += [
            f"levels.{name}: no strike has it" for name in Levels.__struct_fields__ if getattr(levels, name) is None
        ]
    return (*sentences, *(sentence for feed in tick.feeds for sentence in _feed_sentences(feed)))


def _hedge_flow_sentences(tick: TickResult) -> Iterator[str]:
    """The reason for a missing hedge flow, or for one of less than the full look-back."""
    flow = tick.flows.hedge
    if flow is None and tick.has_book:
        yield "hedge_flow: less than a minute of history of the options"
    elif flow is not None and flow.span_s < FULL_LOOKBACK_S:
        yield f"hedge_flow: partial, of {flow.span_s / 60.0:.0f} min, for the options are not watched for fifteen"


def _known_markets(total: MarketSum) -> str:
    return f", only of {', '.join(total.markets)}" if total.usd is None and total.markets else ""


def _partial_sentences(name: str, total: MarketSum) -> Iterator[str]:
    """The reasons for a partial sum over markets."""
    if total.missing:
        yield f"{name}: partial, without fresh data of {', '.join(total.missing)}"
    if total.note:
        yield f"{name}: partial, {total.note}"


def _freshness_sentences(tick: TickResult) -> Iterator[str]:
    """Inputs without data or over their limits, and options that sweeps leave out."""
    freshness = tick.freshness
    for name in INPUTS:
        age = getattr(freshness, name)
        if age.age_s is None:
            yield f"freshness.{name}.age_s: no data yet"
        elif not age.fresh:
            yield f"{name.replace('_', ' ')} {format_age(age.age_s)} old, limit {format_age(age.limit_s)}"
    if freshness.absent_options:
        names = [tick.chain.names[row] for row in tick.chain.absent_rows]
        plural = "s" if len(names) > 1 else ""
        yield f"{len(names)} option{plural} that the last ten sweeps left out: {_first_names(names)}"
    if unlisted := list(tick.chain.unlisted_names):
        count = "1 unexpired option that was" if len(unlisted) == 1 else f"{len(unlisted)} unexpired options that were"
        yield f"{count} listed before, missing now: {_first_names(unlisted)}"


def _feed_sentences(feed: FeedHealth) -> Iterator[str]:
    if feed.state is FeedState.DISABLED:
        yield f"feeds.{feed.source}: venue disabled, its markets are in no sum"
        return
    if not math.isfinite(feed.age_s):
        yield f"feeds.{feed.source}: no data yet"
    elif not math.isfinite(feed.lag_ms):
        yield f"feeds.{feed.source}.lag_ms: its data carry no time of the venue"
    if math.isfinite(feed.age_s) and not math.isfinite(feed.clock_ms):
        yield f"feeds.{feed.source}.clock_ms: no time of the venue to compare with"


def _first_names(names: list[str]) -> str:
    remaining = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {remaining} more" if remaining > 0 else "")
