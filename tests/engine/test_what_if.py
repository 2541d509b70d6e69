"""What-if against snapshots of boards that were moved by hand."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from dfmon.core.exposure.desks import Desk
from dfmon.core.step import FlowParams, FlowState, step
from dfmon.engine.what_if import TickInputs, moved_smiles, shocked_chain, what_if_of_tick
from dfmon.model.frames import ChainFrame
from dfmon.model.metrics import METRICS
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import HOUR
from dfmon.model.what_if import Shock
from tests.chains import NOW, SPOT, frame, market, path, trade_columns

PRINTS = trade_columns(uid=[0, 3, 5, 9], side=[1, -1, 1, 1], size=[5.0, 4.0, 3.0, 2.0])
NAIVE = FlowParams("naive")
DAYS = (0.4, 7.0, 30.0)  # the first one settles within a day


def tick(params: FlowParams = NAIVE, chain: ChainFrame | None = None, warm: int = 0) -> TickInputs:
    """A tick, after some minutes of a slow rally if `warm`."""
    state = FlowState.initial()
    for seq, earlier in enumerate(path([SPOT * (1 + 1e-4 * at) for at in range(warm)], days=DAYS), 1):
        state, _ = step(state, earlier, market(), (), params, seq)
    now = frame(ts_ns=NOW + warm * 60 * 10**9, days=DAYS) if chain is None else chain
    return TickInputs(state, now, market(), (), params, warm + 1)


def values(snapshot: FlowSnapshot) -> dict[str, Any]:
    metrics = {name: getattr(snapshot.metrics, name) for name in METRICS}
    flip = snapshot.flip
    return {name: (m.value, m.lo, m.hi) for name, m in metrics.items()} | {"flip": (flip.level, flip.lo, flip.hi)}


@pytest.mark.slow
@pytest.mark.parametrize("warm", [0, 20])
@pytest.mark.parametrize("model", ["naive", "short-all", "flow"])
def test_no_shock_changes_nothing_and_equals_the_snapshot(model: str, warm: int) -> None:
    inputs = tick(FlowParams(model), None if warm else frame(trades=PRINTS), warm)
    result, shown = what_if_of_tick(inputs, Shock()), values(step(*inputs)[1])
    assert [row.name for row in result.rows] == [*METRICS, "flip"]
    for row in result.rows:
        assert (row.before, row.before_lo, row.before_hi) == shown[row.name] == (row.after, row.after_lo, row.after_hi)
        assert row.change in (0.0, None)
    assert (result.assumed, result.left_out) == ({}, 0)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "warm"), [("naive", 0), ("naive", 20), ("flow", 0)])
def test_shock_equals_a_snapshot_of_the_board_moved_by_hand(model: str, warm: int) -> None:
    inputs = tick(FlowParams(model), None if warm else frame(trades=PRINTS), warm)
    chain = inputs.chain
    moved = replace(
        chain,
        spot=chain.spot * 1.02,
        forward=chain.forward * 1.02,
        sigma=chain.sigma + 0.05,
        clock_ns=-6 * HOUR,
    )
    result = what_if_of_tick(inputs, Shock(2.0, 5.0, 6.0))
    scale = step(*inputs)[0].hour.scale  # a and b are measured, and no shock changes them
    scaled = replace(inputs.state, hour=replace(inputs.state.hour, scale=scale))
    expected = values(step(*inputs._replace(state=scaled, chain=moved))[1])
    assert {row.name: (row.after, row.after_lo, row.after_hi) for row in result.rows} == expected
    assert result["ngi"].change == expected["ngi"][0] - values(step(*inputs)[1])["ngi"][0]
    if model == "flow":
        assert result["ngi"].after_lo is not None


def test_the_average_of_a_settlement_under_way_is_that_of_its_time_alone() -> None:
    chain = replace(frame(), delivery_average=SPOT)
    assert shocked_chain(chain, Shock(2.0), "moneyness").delivery_average == SPOT
    assert np.isnan(shocked_chain(chain, Shock(2.0, hours=1.0), "moneyness").delivery_average)


def test_passing_hours_are_the_same_as_nearer_expiries() -> None:
    """For what looks at options only; the options that are over are counted and left out."""
    inputs = tick()
    nearer = replace(inputs.chain, expiry_ns=inputs.chain.expiry_ns - 30 * HOUR)
    result, expected = what_if_of_tick(inputs, Shock(hours=30.0)), values(step(*inputs._replace(chain=nearer))[1])
    for name in ("ngi", "vss", "chl", "volg", "vega", "theta", "unwind", "flip"):
        assert result[name].after == expected[name][0], name
    over = (nearer.expiry_ns <= nearer.ts_ns).sum()
    assert result.left_out == over


def test_move_counts_as_hedge_flow_and_sign_of_the_pressure() -> None:
    result = what_if_of_tick(tick(FlowParams("short-all"), warm=20), Shock(spot_pct=1.0))
    ngi = result["ngi"].before
    assert ngi is not None
    assert result["hedge_flow"].after is not None
    assert result["hedge_flow"].after > 0.5 * abs(ngi), "dealers short gamma buy about NGI a per cent"
    assert result["hpp"].after is not None
    assert result["hpp"].after < 0.0


def test_sums_of_unlike_terms_have_no_change_and_say_so() -> None:
    """Spot that has not moved leaves the gamma term of HPP out; a shock is a move."""
    row = what_if_of_tick(tick(warm=2), Shock(spot_pct=1.0))["hpp"]
    assert (row.before is None, row.after is None, row.change) == (False, False, None)
    assert "gamma term" in row.note
    moved = what_if_of_tick(tick(warm=20), Shock(spot_pct=1.0))["hpp"]
    assert (moved.change is None, moved.note) == (False, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "value", "text", "moved"),
    [
        ("positions", "short-all", "short-all", "ngi"),
        ("numeraire", "coin", "coin", "ngi"),
        ("stickiness", "moneyness", "moneyness", "flip"),
        ("desks", (Desk(0.5), Desk(0.5, 0.0, 0.0)), "0.5:1:0, 0.5:0:0", "hpp"),
        ("impact_law", "sqrt", "sqrt", "psi"),
    ],
)
def test_each_assumption_is_named_and_moves_its_numbers(field: str, value: Any, text: str, moved: str) -> None:
    inputs = tick(warm=20)
    params = msgspec.structs.replace(NAIVE, **{field: value})
    result = what_if_of_tick(inputs, Shock(), params)
    assert result.assumed == {field: text}
    assert result[moved].change
    assert result[moved].after == values(step(*inputs._replace(params=params))[1])[moved][0]


def test_venue_share_widens_the_bands_of_the_ensemble() -> None:
    inputs = tick(FlowParams("flow"), frame(trades=PRINTS))
    ngi = what_if_of_tick(inputs, Shock(), msgspec.structs.replace(inputs.params, venue_share=0.4))["ngi"]
    assert ngi.before_lo is not None
    assert ngi.before_hi is not None
    assert ngi.after_lo is not None
    assert ngi.after_hi is not None
    assert ngi.after_lo < ngi.before_lo < ngi.before_hi < ngi.after_hi


def test_smile_that_moves_with_spot_is_read_at_the_new_moneyness() -> None:
    chain = frame()
    moved = moved_smiles(chain, 1.03)
    for row in range(chain.size):
        expiry = chain.expiry_ns == chain.expiry_ns[row]
        points = sorted({(k, s) for k, s in zip(chain.strike[expiry].tolist(), chain.sigma[expiry].tolist())})
        strikes, sigmas = np.array(points).T
        at = np.log(chain.strike[row] / (1.03 * chain.forward[row]))
        assert moved[row] == pytest.approx(np.interp(at, np.log(strikes / chain.forward[row]), sigmas), rel=1e-12)
    assert shocked_chain(chain, Shock(3.0), "strike").sigma.tolist() == chain.sigma.tolist()
    assert shocked_chain(chain, Shock(3.0), "moneyness").sigma.tolist() == moved.tolist()


def test_volatility_does_not_fall_below_what_is_priced() -> None:
    low = replace(frame(), sigma=np.where(np.arange(frame().size) % 4 == 0, 0.2, 0.5))
    assert shocked_chain(low, Shock(vol_points=-30.0), "strike").sigma.min() == 0.001


def test_a_fall_below_the_volatility_of_most_options_is_refused() -> None:
    with pytest.raises(ValueError, match=r"volatility up to 51\.0 %, which cannot fall by 90 points"):
        shocked_chain(frame(), Shock(vol_points=-90.0), "strike")


def test_rows_without_numbers_stay_as_they_are() -> None:
    chain = frame()
    holes = replace(
        chain, forward=np.where(np.arange(chain.size) == 2, np.nan, chain.forward), sigma=chain.sigma.copy()
    )
    moved = shocked_chain(holes, Shock(2.0, 1.0), "moneyness")
    assert np.isnan(moved.forward[2])
    assert np.isfinite(np.delete(moved.sigma, 2)).all()


def test_text_has_the_shock_and_a_line_for_each_number() -> None:
    text = str(what_if_of_tick(tick(), Shock(2.0, -5.0, 24.0)))
    assert "spot +2 %, volatility -5 points, 24 h later" in text
    assert len(text.splitlines()) == 2 + len(METRICS) + 1
