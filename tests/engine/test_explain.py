"""Explanations against snapshots: of single options, of the same tick under other parameters, of its ages."""

import math

import msgspec
import pytest

from dfmon.core.step import FlowParams, step
from dfmon.engine.explain import EXPLAINED, LARGEST, explain
from dfmon.engine.explain_terms import ALIASES, TERMS, explain_term
from dfmon.engine.what_if import TickInputs
from dfmon.model.explain import number
from dfmon.model.metrics import EXPOSURE_NAMES, METRICS
from tests.chains import frame
from tests.engine.test_what_if import NAIVE, PRINTS, tick, values

WARM = tick(warm=20)


def value_of(inputs: TickInputs, metric: str) -> float | None:
    found: float | None = values(step(*inputs)[1])[metric][0]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("metric", EXPLAINED)
def test_value_band_and_conventions_are_those_of_snapshots(metric: str) -> None:
    explained = explain(WARM, metric)
    assert (explained.value, explained.lo, explained.hi) == values(step(*WARM)[1])[metric]
    params = {
        "positions flow": WARM.params.with_positions("flow"),
        "positions short-all": WARM.params.with_positions("short-all"),
        "numeraire coin": msgspec.structs.replace(NAIVE, numeraire="coin"),
        "stickiness moneyness": msgspec.structs.replace(NAIVE, stickiness="moneyness"),
        "impact law sqrt": msgspec.structs.replace(NAIVE, impact_law="sqrt"),
    }
    names = [row.name for row in explained.conventions]
    assert names == [name for name in params if metric == "psi" or name != "impact law sqrt"]
    for row in explained.conventions:
        value = value_of(WARM._replace(params=params[row.name]), metric)
        assert row.value == value
        assert row.change == (None if value is None or explained.value is None else value - explained.value)


@pytest.mark.parametrize("metric", METRICS)
def test_parts_of_all_options_add_up_to_the_metric(metric: str) -> None:
    explained = explain(WARM, metric)
    assert explained.value is not None
    assert explained.contributors_sum == pytest.approx(explained.value, rel=1e-9, abs=1e-6)
    assert bool(explained.contributors) == bool(explained.value)
    assert len(explained.contributors) <= LARGEST
    sizes = [abs(row.value) for row in explained.contributors]
    assert sizes == sorted(sizes, reverse=True)
    assert all(row.value == pytest.approx(row.unit_value * row.position) for row in explained.contributors)
    if explained.terms:
        assert math.fsum(value for _, value in explained.terms) == pytest.approx(explained.value)


@pytest.mark.slow
@pytest.mark.parametrize("metric", EXPOSURE_NAMES)
def test_each_part_is_the_metric_of_a_book_with_this_option_alone(metric: str) -> None:
    explained = explain(WARM, metric)
    for row in explained.contributors[:3]:
        alone = FlowParams("file", {row.option: row.position})
        assert value_of(WARM._replace(params=alone), metric) == pytest.approx(row.value, rel=1e-9)


@pytest.mark.slow
def test_the_largest_are_the_largest_of_a_brute_force_over_the_board() -> None:
    inputs = tick()
    alone = {}
    for name, kind, interest in zip(inputs.chain.names, inputs.chain.option_type, inputs.chain.open_interest):
        params = FlowParams("file", {name: float(kind * interest)})
        alone[name] = value_of(inputs._replace(params=params), "ngi") or 0.0
    expected = sorted(alone, key=lambda name: -abs(alone[name]))[:LARGEST]
    explained = explain(inputs, "ngi")
    assert [abs(alone[row.option]) for row in explained.contributors] == pytest.approx(
        [abs(alone[n]) for n in expected]
    )
    gross = sum(map(abs, alone.values()))
    assert [row.share for row in explained.contributors] == pytest.approx([abs(alone[n]) / gross for n in expected])


def test_gammas_at_the_flip_cancel() -> None:
    explained = explain(WARM, "flip")
    assert explained.value is not None
    assert explained.contributors_sum is not None
    gross = sum(abs(row.value) for row in explained.contributors)
    assert abs(explained.contributors_sum) < 1e-6 * gross


def test_inputs_have_their_ages_and_limits() -> None:
    chain = frame()
    rows = {row.name: row for row in explain(tick(chain=chain), "psi").inputs}
    assert rows["spot"].value == chain.spot
    assert (rows["spot"].age_s, rows["spot"].limit_s) == (0.0, 5.0)
    assert rows["depth within 1 %"].value == 3e7
    assert (rows["depth within 1 %"].age_s, rows["depth within 1 %"].limit_s) == (0.5, 10.0)
    assert rows["open interest"].value == pytest.approx(chain.open_interest.sum())


def test_unknown_positions_have_no_value_and_a_reason() -> None:
    explained = explain(tick(FlowParams("flow")), "ngi")
    assert (explained.value, explained.contributors, explained.contributors_sum) == (None, (), None)
    assert explained.missing
    assert explain(tick(FlowParams("flow"), frame(trades=PRINTS)), "ngi").lo is not None


def test_text_has_every_part() -> None:
    text = str(explain(WARM, "hpp"))
    for part in ("hpp = sign(dS) NGI + a VSS + b CHL = ", "b CHL", "age 0.0 s, limit 5 s", "BTC-", "numeraire coin"):
        assert part in text


@pytest.mark.parametrize("metric", EXPLAINED)
def test_each_metric_has_the_inputs_of_its_own_formula(metric: str) -> None:
    names = {row.name for row in explain(WARM, metric).inputs}
    assert ({"sign(dS) of 15 min", "a", "b"} <= names) == (metric == "hpp")
    assert ("share of gamma hedged" in names) == (metric in ("hpp", "hedge_flow"))
    assert ({"depth within 1 %", "volume of 24 h"} <= names) == (metric == "psi")


def test_the_text_adds_up_to_the_sum_of_all_options() -> None:
    explained = explain(WARM, "ngi")
    assert explained.contributors_sum is not None
    rest = explained.contributors_sum - math.fsum(row.value for row in explained.contributors)
    lines = {line.split("  ")[1]: line.split()[-1] for line in str(explained).splitlines() if line.startswith("  ")}
    assert lines["sum"] == number(explained.contributors_sum)
    assert lines[f"the other {explained.options - len(explained.contributors):,}"] == number(rest)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TERMS, *ALIASES])
def test_a_word_is_that_of_the_snapshot_and_of_each_convention(name: str) -> None:
    explained = explain_term(WARM, name)
    term = TERMS[ALIASES.get(name, name)]
    assert explained.value == term.text(step(*WARM)[1])
    conventions = {row.name: row for row in explained.conventions}
    assert set(conventions) == {"positions flow", "positions short-all", "numeraire coin", "stickiness moneyness"}
    short = step(*WARM._replace(params=WARM.params.with_positions("short-all")))[1]
    assert conventions["positions short-all"].value == term.text(short)
    assert conventions["positions short-all"].differs == (term.text(short) != explained.value)
    spot = next(row for row in explained.inputs if row.name == "spot")
    assert (spot.age_s, spot.limit_s) == (0.0, 5.0)
    for part in (explained.term, explained.formula, explained.value, "age 0.0 s, limit 5 s", "numeraire coin"):
        assert part in str(explained)


@pytest.mark.slow
def test_words_rest_on_the_fields_of_the_snapshot() -> None:
    snapshot = step(*WARM)[1]
    rows = {row.name: row.value for row in explain_term(WARM, "material").inputs}
    assert rows["phi_gamma"] == snapshot.features.phi_gamma.value
    rules = {row.name: row.value for row in explain_term(WARM, "scenario").inputs}
    assert rules["phi_vanna, 75 % quantile"] == snapshot.features.phi_vanna.mid
    assert set(snapshot.features.__struct_fields__) <= set(rules)
    assert explain_term(WARM, "scenario").decided_by == snapshot.scenario.reasons
    regime = explain_term(WARM, "regime")
    assert {row.name: row.value for row in regime.inputs}["NGI"] == snapshot.metrics.ngi.value
    assert regime.contributors == explain(WARM, "ngi").contributors
    assert explain_term(WARM, "edges").contributors == explain(WARM, "flip").contributors


def test_parts_of_the_outlook_are_those_of_a_book_with_this_option_alone() -> None:
    for row in explain_term(WARM, "outlook").contributors[:3]:
        alone = step(*WARM._replace(params=FlowParams("file", {row.option: row.position})))[1]
        trade = next(case.value for case in alone.outlook if case.case == "+1 %")
        assert trade == pytest.approx(row.value, rel=1e-9)


def test_a_word_without_positions_says_why() -> None:
    unknown = explain_term(tick(FlowParams("flow")), "confidence")
    assert unknown.value == "n/a"
    assert any("scenario.confidence" in reason for reason in unknown.missing)
    assert explain_term(tick(FlowParams("flow")), "regime").contributors == ()


def test_a_sign_that_is_not_measured_is_said_once() -> None:
    inputs = WARM._replace(params=WARM.params.with_positions("flow"))
    sentence = "sign not measured: too few prints with open interest"
    for explained in (explain(inputs, "ngi"), explain_term(inputs, "regime")):
        assert explained.sign_doubt == sentence
        assert str(explained).count(sentence) == 1
    assert explain(WARM, "ngi").sign_doubt == "", "a convention"
