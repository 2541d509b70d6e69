"""One word of the first line written out: its rule, what decided it, inputs with ages, other conventions.

docs/scenario.md has the same rules with their reasons. Everything comes from the tick itself, as in `explain`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dfmon.core.scenario.rules import MATERIAL
from dfmon.core.scenario.tick_result import TickResult
from dfmon.core.step import FlowParams, step
from dfmon.engine.explain import aged_inputs, book_result, contributors_by_size, largest_contributors, other_params
from dfmon.engine.what_if import TickInputs
from dfmon.model.explain import Contributor, ExplainedInput, TermConvention, TermExplanation, number
from dfmon.model.flip import RegimeEdge
from dfmon.model.hedging import OutlookRow
from dfmon.model.regime_text import snapshot_regime, two_sided_text
from dfmon.model.scenario import ShareOfVolume
from dfmon.model.snapshot import FlowSnapshot

NO_VALUE: Final = "n/a"
Texts = Callable[[FlowSnapshot], tuple[str, ...]]
Inputs = Callable[[FlowSnapshot], tuple[ExplainedInput, ...]]


@dataclass(frozen=True, slots=True)
class Term:
    """A word: its rule in one sentence, its text in a snapshot, and what it rests on.

    `contributors_of` is a metric, "flip", or a case of the outlook; "" for none. `fields` are those of the snapshot
    whose reasons in `unavailable` concern it.
    """

    title: str
    formula: str
    text: Callable[[FlowSnapshot], str]
    inputs: Inputs
    contributors_of: str = ""
    decided_by: Texts = lambda _: ()
    fields: tuple[str, ...] = ("scenario.bucket",)


# ---- texts -----------------------------------------------------------------------------------------------------------


def _scenario_text(s: FlowSnapshot) -> str:
    bucket = "" if s.scenario.bucket is None else f"{s.scenario.bucket} "
    return f"{bucket}{s.scenario.name}{' (armed)' if s.scenario.armed else ''}"


def _age_text(s: FlowSnapshot) -> str:
    return f"{s.scenario.age_s:,.0f} s, since {s.scenario.since}" if s.scenario.since else NO_VALUE


def _side_text(s: FlowSnapshot) -> str:
    return two_sided_text(s) if s.scenario.side == "two-sided" else s.scenario.side.upper()


def _material_text(s: FlowSnapshot) -> str:
    return {True: "material", False: "immaterial", None: "size unknown"}[s.scenario.material]


def _share_text(share: float | None) -> str:
    return NO_VALUE if share is None else f"{share:.0%}"


def _edge_texts(s: FlowSnapshot) -> tuple[str, ...]:
    edges = (("below", s.regime.below), ("above", s.regime.above))
    return tuple(_edge_text(side, edge) for side, edge in edges if edge is not None)


def _edge_text(side: str, edge: RegimeEdge) -> str:
    band = "no band" if edge.lo is None or edge.hi is None else f"5-95 % {edge.lo:,.2f} to {edge.hi:,.2f}"
    share = "" if edge.p is None else f", {edge.p:.0%} of members have it"
    return f"{side} {edge.level:,.2f} {edge.direction} ({band}{share})"


def _outlook_texts(s: FlowSnapshot) -> tuple[str, ...]:
    return tuple(f"{row.case}: {_trade_text(row)}" for row in s.outlook)


def _trade_text(row: OutlookRow) -> str:
    verb = "buy" if row.value > 0.0 else "sell"
    band = "" if row.lo is None or row.hi is None else f" (5-95 % {number(row.lo)} to {number(row.hi)})"
    return f"{verb} {number(abs(row.value), plus=False)} USD{band}, by spot alone {number(row.spot)}"


def _distance_text(s: FlowSnapshot) -> str:
    if s.flip.distance_pct is None:
        return NO_VALUE
    sigmas = "" if s.flip.distance_sigma is None else f", {s.flip.distance_sigma:+.2f} daily sigmas"
    return f"{s.flip.distance_pct:+.2f} %{sigmas}"


# ---- inputs ----------------------------------------------------------------------------------------------------------


def _phi_inputs(s: FlowSnapshot) -> tuple[ExplainedInput, ...]:
    names = ("phi_gamma", "phi_vanna", "phi_charm")
    return tuple(ExplainedInput(name, getattr(s.features, name).value, "of volume") for name in names)


def _rule_inputs(s: FlowSnapshot) -> tuple[ExplainedInput, ...]:
    """All features of the rules, those with adaptive thresholds with their middle one."""
    rows: list[ExplainedInput] = []
    for name in s.features.__struct_fields__:
        feature = getattr(s.features, name)
        rows.append(ExplainedInput(name, feature.value, ""))
        if isinstance(feature, ShareOfVolume):
            rows.append(ExplainedInput(f"{name}, 75 % quantile", feature.mid, ""))
    return tuple(rows)


def _regime_inputs(s: FlowSnapshot) -> tuple[ExplainedInput, ...]:
    return (
        ExplainedInput("NGI", s.metrics.ngi.value, "USD per 1 %"),
        ExplainedInput("members of that sign", s.regime.agree, "share"),
    )


def _flip_inputs(s: FlowSnapshot) -> tuple[ExplainedInput, ...]:
    low, high = s.flip.searched or (None, None)
    return (
        ExplainedInput("nearest zero of the profile", s.flip.level, "USD"),
        ExplainedInput("searched from", low, "USD"),
        ExplainedInput("searched up to", high, "USD"),
        ExplainedInput("members without that zero", s.flip.p_none, "share"),
    )


def _outlook_inputs(s: FlowSnapshot) -> tuple[ExplainedInput, ...]:
    return tuple(
        ExplainedInput(f"beta from {row.days_from:g} days on", row.value, "points per 1 %") for row in s.volatility_beta
    )


def _no_inputs(s: FlowSnapshot) -> tuple[ExplainedInput, ...]:
    return ()


# ---- the words -------------------------------------------------------------------------------------------------------

TERMS: Final[Mapping[str, Term]] = {
    "scenario": Term(
        "scenario that holds",
        "the first of the rules of six scenarios that is true, once it was called for 5 minutes (CASCADE 1 minute)",
        _scenario_text, _rule_inputs, "ngi", lambda s: s.scenario.reasons,
    ),
    "age": Term(
        "time since the scenario took over", "now less the time of the last change of scenario", _age_text, _no_inputs
    ),
    "armed": Term(
        "squeeze that has not begun", "NGI < 0 and a phi >= 0.01, where no other rule holds",
        lambda s: "armed" if s.scenario.armed else "not armed", _phi_inputs, "ngi",
    ),
    "unknown": Term(
        "reason why there is no call",
        "no call while positions, fresh spot and marks, volume or depth are missing, or an input that could change it",
        lambda s: s.scenario.overlay or "known", _rule_inputs,
    ),
    "why": Term(
        "comparisons that decided", "those of the rule that won, or the first failed one of each rule for DAMP",
        lambda s: "; ".join(s.scenario.reasons) or NO_VALUE, _rule_inputs,
    ),
    "side": Term(
        "side of the hedges within the hour",
        "BUY or SELL where the outlook of +1 sd and -1 sd has that sign in both, UNSURE where a 5-95 % band holds 0 "
        "or the board does not show the sign of its positions",
        _side_text, _outlook_inputs, "outlook +1 sd",
        lambda s: tuple(text for text in _outlook_texts(s) if " sd: " in text), ("outlook",),
    ),
    "material": Term(
        "size against the volume of the hour",
        f"material where any phi >= {MATERIAL:g}, unknown where a missing one could be",
        _material_text, _phi_inputs, "ngi", fields=("scenario.material", "features.phi_gamma"),
    ),
    "confidence": Term(
        "share of the members that agree",
        "members of the ensemble whose own inputs are in the scenario that holds, over all; a convention has none",
        lambda s: _share_text(s.scenario.confidence), _rule_inputs, fields=("scenario.confidence",),
    ),
    "regime": Term(
        "side of net gamma at spot", "sign of NGI at spot, and the nearest zeros of its profile below and above",
        lambda s: snapshot_regime(s) or NO_VALUE, _regime_inputs, "ngi", _edge_texts, ("regime.side", "regime.above"),
    ),
    "edges": Term(
        "zeros of net gamma beside spot",
        "nearest zeros of the profile below and above; up: short gamma below, long above; band over the members",
        lambda s: "; ".join(_edge_texts(s)) or "none", _flip_inputs, "flip", fields=("regime.above", "regime.below"),
    ),
    "distance": Term(
        "distance of spot from the flip", "1 - level / spot, in per cent and in daily at-the-money sigmas",
        _distance_text, _flip_inputs, "flip", fields=("flip.level", "flip.distance_pct"),
    ),
    "p_none": Term(
        "probability that there is no such flip",
        "members that do not have the zero nearest to spot, over all; without a zero, those that have none",
        lambda s: _share_text(s.flip.p_none), _flip_inputs, "flip", fields=("flip.p_none",),
    ),
    "outlook": Term(
        "hedges of the next hour",
        "-sum D m F [delta then - delta now] by full reprice, with the volatility that goes with the move",
        lambda s: "; ".join(_outlook_texts(s)[:2]) or NO_VALUE, _outlook_inputs, "outlook +1 %", _outlook_texts,
        ("outlook",),
    ),
}  # fmt: skip
ALIASES: Final = {"bucket": "scenario", "agree": "confidence", "flip_distance": "distance"}
"""Fields of the snapshot that are words by another name."""


def explain_term(tick: TickInputs, name: str) -> TermExplanation:
    """The word under the published position model.

    Domain: `name` one of TERMS or ALIASES; what is missing is "n/a" with reasons.
    """
    name = ALIASES.get(name, name)
    term, snapshot = TERMS[name], step(*tick)[1]
    result, text = book_result(snapshot).tick, term.text(snapshot)
    others = ((other, term.text(step(*tick._replace(params=params))[1])) for other, params in _conventions(tick))
    reasons = (reason for reason in snapshot.unavailable if any(field in reason for field in term.fields))
    return TermExplanation(
        term=name,
        title=term.title,
        formula=term.formula,
        underlying=snapshot.underlying,
        ts=snapshot.ts,
        model=snapshot.positions.model,
        value=text,
        decided_by=term.decided_by(snapshot),
        inputs=(*term.inputs(snapshot), *aged_inputs(tick, result, snapshot, "psi")),
        contributors_of=term.contributors_of,
        contributors=_contributors(tick, result, snapshot, term.contributors_of),
        conventions=tuple(TermConvention(other, value, value != text) for other, value in others),
        missing=tuple(reasons),
        stale=snapshot.state == "stale",
        sign_doubt=snapshot.positions.sign_doubt,
    )


def _conventions(tick: TickInputs) -> Iterator[tuple[str, FlowParams]]:
    return ((name, params) for name, params in other_params(tick.params) if not name.startswith("impact law"))


def _contributors(
    tick: TickInputs, result: TickResult, snapshot: FlowSnapshot, contributors_of: str
) -> tuple[Contributor, ...]:
    if contributors_of.startswith("outlook "):
        units = result.moves.outlook
        if units is None or not result.has_book:
            return ()
        by_case = {case.name: row for case, row in zip(units.cases, units.full)}
        row = by_case.get(contributors_of.removeprefix("outlook "))
        return () if row is None else contributors_by_size(result, row)[0]
    return largest_contributors(tick, result, snapshot, contributors_of)[0] if contributors_of else ()
