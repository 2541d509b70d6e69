import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dfmon.core.positions.book_codec import encode_book
from dfmon.core.step import FlowParams, FlowState, step
from dfmon.model.events import FeedState, Market
from dfmon.model.frames import ChainFrame, ExpectedMarket, FeedHealth, MarketFrame, ReceiveTimes
from dfmon.model.snapshot import Detail, FlowSnapshot, from_json, to_json
from dfmon.model.units import HOUR, NAN, SECOND
from tests.chains import NOW, SPOT, frame, known, market, path, run, shot, trade_columns
from tests.snapshot_checks import check

NAIVE, SHORT, FLOW = FlowParams("naive"), FlowParams("short-all"), FlowParams("flow")
NO_MARKET = MarketFrame((), 0.0, 0.0)
ONE_PRINT = trade_columns([0], [1], [2.0])  # from the first one on positions are known, if hardly


# ---- faults a predecessor shipped ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["naive", "flow"])
def test_all_exposures_are_dollars_so_prices_ten_times_as_high_make_them_ten_times_as_large(model: str) -> None:
    board = frame(trades=ONE_PRINT)
    tenfold = replace(board, spot=10 * board.spot, strike=10 * board.strike, forward=10 * board.forward)
    small, large = shot(board, FlowParams(model)), shot(tenfold, FlowParams(model))
    for name in ("ngi", "vss", "chl", "volg", "vega", "theta", "unwind", "hpp"):
        one, ten = getattr(small.metrics, name).value, getattr(large.metrics, name).value
        assert ten == pytest.approx(10 * one, rel=1e-9), name
    if model == "naive":
        assert small.flip.level is not None
        assert large.flip.level == pytest.approx(10 * small.flip.level, rel=1e-7)


def test_flip_is_a_sign_change_of_the_repriced_profile_not_of_the_strikes() -> None:
    snapshot = shot(frame(), NAIVE)
    assert snapshot.flip.level is not None
    assert snapshot.flip.level not in [row.strike for row in snapshot.by_strike]

    def ngi_at(spot: float) -> float:
        value = shot(frame(spot=spot), NAIVE).metrics.ngi.value
        assert value is not None
        return value

    below, above = ngi_at(snapshot.flip.level * (1 - 1e-6)), ngi_at(snapshot.flip.level * (1 + 1e-6))
    assert below * above < 0.0
    nearest = min(snapshot.flip.roots, key=lambda root: abs(math.log(root.level / SPOT)))
    assert nearest.direction == ("up" if above > 0.0 else "down")


def test_dealers_short_everything_have_no_flip_and_the_reason_says_so() -> None:
    snapshot = shot(frame(), SHORT)
    flip = snapshot.flip
    assert (flip.level, flip.roots, flip.net) == (None, (), -1)
    (said,) = (reason for reason in snapshot.unavailable if reason.startswith("flip.level"))
    assert "net short gamma throughout; weakest near " in said
    assert said.endswith(" USD per 1 %")
    assert ", -" in said


@pytest.mark.slow
def test_short_gamma_dealers_buy_rallies_in_pressure_and_hedge_flow() -> None:
    rally = path([SPOT * (1 + 0.002 * i) for i in range(16)])
    for params, sign in ((SHORT, -1), (FlowParams("file", dict.fromkeys(frame().names, 5.0)), 1)):
        last = run(rally, params)[1][-1]
        ngi, hpp, flow = last.metrics.ngi.value, last.metrics.hpp, last.metrics.hedge_flow
        assert hpp.ds_sign == 1
        assert ngi is not None
        assert ngi * sign > 0.0
        assert hpp.value is not None
        assert hpp.value * sign > 0.0  # positive: dealers must sell
        assert flow.gamma is not None
        assert flow.gamma * sign < 0.0  # positive: dealers bought
        assert last.scenario.side == "two-sided"  # they would do the reverse in a fall


def test_sign_of_the_move_stands_while_ticks_go_back_and_forth() -> None:
    spots = [SPOT * (1 + 0.001 * i + (0.0008 if i % 2 else 0.0)) for i in range(16)]
    signs = [s.metrics.hpp.ds_sign for s in run(path(spots), NAIVE)[1]]
    assert set(signs[8:]) == {1}


@pytest.mark.slow
def test_pin_is_never_said_of_a_board_without_gamma() -> None:
    board = path([SPOT] * 70, days=(0.25,), strikes=(SPOT,), open_interest=np.full(2, 1e-9))
    held = FlowParams("file", dict.fromkeys(board[0].names, 1e-9))
    assert run(board, held)[1][-1].scenario.name == "DAMP"
    heavy = FlowParams("file", dict.fromkeys(board[0].names, 5e3))
    assert run(board, heavy)[1][-1].scenario.name == "PIN"


def test_expired_option_contributes_nothing_from_its_time_on() -> None:
    board = frame(days=(1.5, 9.0))
    late = replace(board, ts_ns=int(board.expiry_ns.min()))
    only = frame(days=(9.0,), ts_ns=late.ts_ns, open_interest=board.open_interest[14:])
    assert shot(late, NAIVE).metrics.ngi.value == pytest.approx(shot(only, NAIVE).metrics.ngi.value)


def test_no_flip_no_move_and_no_state_without_an_index_however_much_else_is_known() -> None:
    snapshot = shot(frame(spot=NAN, trades=ONE_PRINT), FLOW)
    assert (snapshot.spot, snapshot.flip.level, snapshot.flip.quality) == (None, None, "absent")
    assert snapshot.metrics.ngi.value is not None
    assert snapshot.scenario.overlay.startswith("UNKNOWN")


# ---- position models side by side ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_each_model_has_the_snapshot_of_a_session_that_published_it() -> None:
    boards = path([SPOT * (1 + 0.001 * i) for i in range(6)], trades=ONE_PRINT)
    by_published = {params.positions: run(boards, params)[1][-1] for params in (FLOW, NAIVE, SHORT)}
    for published in by_published.values():
        assert [row.model for row in published.models] == ["flow", "naive", "short-all"]
        for model, alone in by_published.items():
            assert published.view(model).digest() == alone.digest()


def test_without_a_print_positions_are_unknown_and_the_conventions_stand_beside_them() -> None:
    snapshot = shot(frame(), FLOW)
    check(snapshot)
    assert [getattr(snapshot.metrics, name).value for name in ("ngi", "vss", "chl", "hpp", "psi")] == [None] * 5
    assert (snapshot.flip.level, snapshot.flip.roots, snapshot.metrics.ngi.quality) == (None, (), "absent")
    assert snapshot.scenario.overlay == "UNKNOWN: positions unknown"
    assert [row.ngi for row in snapshot.by_expiry] == [None, None, None]
    assert snapshot.by_expiry[0].open_interest > 0.0
    flow, naive, short = snapshot.models
    assert (flow.ngi, flow.flip) == (None, None)
    assert naive.ngi == shot(frame(), NAIVE).metrics.ngi.value
    assert short.ngi is not None
    assert short.ngi < 0.0


def test_a_board_without_options_has_no_reason_for_the_positions_of_each() -> None:
    empty, board = (shot(frame(strikes=strikes), FlowParams()) for strikes in ((), (SPOT,)))
    sentence = "sources, full_history_net, change, unexplained: positions unknown"
    assert sentence not in empty.unavailable
    assert sentence in board.unavailable


def test_factors_of_hedge_pressure_are_unknown_before_the_first_volatility() -> None:
    empty, board = (shot(frame(strikes=strikes), NAIVE) for strikes in ((), (SPOT,)))
    assert (empty.metrics.hpp.alpha, empty.metrics.hpp.beta) == (None, None)
    assert "hpp.alpha, hpp.beta: no volatility of the next 24 hours yet" in empty.unavailable
    assert board.metrics.hpp.alpha is not None
    assert board.metrics.hpp.alpha > 0.0


# ---- the snapshot ----------------------------------------------------------------------------------------------------

FEEDS = (
    FeedHealth("deribit", FeedState.LIVE, 0.5, 20.0, 9, 0, 0, ""),
    FeedHealth("okx", FeedState.DOWN, NAN, NAN, 0, 0, 2, "refused"),
    FeedHealth("binance", FeedState.LIVE, 0.5, NAN, 9, 0, 0, ""),
)
CASES = {
    "whole board": frame(),
    "no spot": frame(spot=NAN),
    "empty": frame(strikes=()),
    "empty, no spot": frame(strikes=(), spot=NAN),
    "one option": frame(strikes=(SPOT,), days=(9.0,), sigma=np.array([0.5, NAN])),
    "no open interest": frame(open_interest=np.zeros(42)),
    "no volatility index": frame(vol_index=NAN),
    "inside the settlement window": frame(days=(0.01, 9.0), delivery_average=SPOT),
}


@pytest.mark.slow
@pytest.mark.parametrize("around", [market(), NO_MARKET, market(depth=0.0, volume=0.0), market(depth=NAN, volume=NAN)])
@pytest.mark.parametrize("params", [FLOW, NAIVE, SHORT, FlowParams("file"), FlowParams(numeraire="coin")])
@pytest.mark.parametrize("board", CASES.values(), ids=CASES)
def test_every_null_has_a_reason_and_nothing_is_nan(board: ChainFrame, params: FlowParams, around: MarketFrame) -> None:
    check(step(FlowState.initial(), board, around, FEEDS, params, 1)[1])


@pytest.mark.slow
@pytest.mark.parametrize("params", [FLOW, NAIVE, FlowParams(stickiness="moneyness")])
def test_every_null_of_a_session_has_a_reason_also_after_an_hour(params: FlowParams) -> None:
    walk = [SPOT * (1 + 0.001 * math.sin(i)) for i in range(14)]
    snapshots = run(path(walk, every_s=300.0, trades=ONE_PRINT), params)[1]
    for snapshot in snapshots:
        check(snapshot)
    assert snapshots[-1].metrics.hedge_flow.residual is not None
    assert snapshots[-1].context.return_1h is not None


BAD = st.sampled_from([NAN, math.inf, -math.inf, -1.0, 0.0, 1e-300, 1e300, 0.5, SPOT])
BROKEN = ("forward", "sigma", "open_interest", "strike", "mark", "bid", "ask", "volume", "bid_sigma", "ask_sigma")


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(BROKEN), st.integers(0, 11), BAD), max_size=12),
    st.sampled_from(["flow", "naive", "short-all", "file"]),
    st.sampled_from([SPOT, NAN]),
)
@example([("forward", row, NAN) for row in (4, 5, 10, 11)], "flow", SPOT)  # the later expiry keeps no printed option
def test_broken_board_gives_a_snapshot_without_nan(
    broken: list[tuple[str, int, float]], model: str, spot: float
) -> None:
    board = frame(strikes=(90_000.0, SPOT, 110_000.0), days=(0.01, 9.0), spot=spot)
    columns = {name: getattr(board, name).copy() for name in BROKEN}
    for name, row, value in broken:
        columns[name][max(row, 4) if name == "strike" else row] = value  # what trades has a strike
    check(shot(replace(board, trades=trade_columns([0, 3], [1, -1], [5.0, 2.0]), **columns), FlowParams(model)))


def test_snapshot_is_frozen_all_the_way_down() -> None:
    snapshot = shot(frame(trades=ONE_PRINT), FLOW)
    for part in (
        snapshot,
        snapshot.metrics,
        snapshot.metrics.ngi,
        snapshot.flip,
        snapshot.scenario,
        snapshot.by_strike[0],
    ):
        with pytest.raises(AttributeError):
            setattr(part, part.__struct_fields__[0], 0)
    assert isinstance(snapshot.by_strike, tuple)


def test_json_gives_back_the_snapshot() -> None:
    snapshot = run([frame(trades=trade_columns([0], [1], [2.0])), frame(ts_ns=NOW + SECOND)], FLOW)[1][1]
    assert from_json(to_json(snapshot, "live", detail=True)) == snapshot.without_views()
    assert b'"detail"' not in to_json(snapshot, "live")


def test_state_in_json_is_what_the_reader_looks_at_unless_it_is_stale() -> None:
    fresh, old = shot(frame()), shot(frame(received=ReceiveTimes(NOW - 6 * SECOND, NOW, NOW, NOW)))
    assert [json.loads(to_json(fresh, mode))["state"] for mode in ("live", "sim", "replay")] == [
        "live",
        "sim",
        "replay",
    ]
    assert json.loads(to_json(old, "replay"))["state"] == "stale"


RECEIVED = ReceiveTimes(NOW, NOW, NOW, NOW)


def alert_kinds(snapshot: FlowSnapshot) -> list[str]:
    assert isinstance(snapshot.detail, Detail)
    return [alert.kind for alert in snapshot.detail.alerts]


@pytest.mark.parametrize(("name", "limit_s"), [("spot", 5), ("marks", 15)])
def test_stale_spot_or_marks_hold_the_scenario_and_say_so_everywhere(name: str, limit_s: int) -> None:
    received = replace(RECEIVED, **{f"{other}_ns": NOW + HOUR for other in ("spot", "marks") if other != name})
    fresh, old = (
        frame(ts_ns=NOW + limit_s * SECOND + late, trades=ONE_PRINT, received=received) for late in (0, SECOND)
    )
    state, (before, snapshot) = run([fresh, old], NAIVE)
    check(snapshot)
    assert (before.state, snapshot.state) == ("live", "stale")
    assert snapshot.freshness is not None
    assert snapshot.freshness.stale == f"{name} {limit_s + 1} s old"
    assert {getattr(snapshot.metrics, metric).quality for metric in ("ngi", "vss", "chl", "hpp", "psi")} == {"stale"}
    assert (snapshot.flip.quality, snapshot.scenario.overlay) == ("stale", "UNKNOWN: inputs stale")
    assert snapshot.scenario.reasons == (f"held: {name} {limit_s + 1} s old",)
    assert (snapshot.scenario.bucket, snapshot.scenario.since) == (before.scenario.bucket, before.scenario.since)
    assert snapshot.scenario.confidence is None
    assert state.path.times.tolist() == [fresh.ts_ns], "no sample of a market that may be gone"


@pytest.mark.parametrize(("name", "limit_s"), [("forwards", 75), ("open_interest", 120)])
def test_other_old_inputs_mark_the_numbers_and_leave_the_state_alone(name: str, limit_s: int) -> None:
    now = NOW + limit_s * SECOND
    received = replace(ReceiveTimes(now, now, now, now), **{f"{name}_ns": NOW})
    for ts_ns, quality in ((now, "ok"), (now + 1, "stale")):
        snapshot = shot(frame(ts_ns=ts_ns, received=received), NAIVE)
        check(snapshot)
        assert (snapshot.state, snapshot.metrics.ngi.quality) == ("live", quality)
        assert any(text.startswith(name.replace("_", " ")) for text in snapshot.unavailable) is (quality == "stale")


def test_an_old_book_marks_psi_alone() -> None:
    around = market()
    old = replace(around, markets=(replace(around.markets[0], book_age_s=10.1),))
    state, before = step(FlowState.initial(), frame(), around, (), NAIVE, 1)
    snapshot = step(state, frame(ts_ns=NOW + SECOND), old, (), NAIVE, 2)[1]
    assert (before.metrics.psi.quality, before.liquidity.depth_quality) == ("partial", "partial"), "not yet a median"
    assert (snapshot.metrics.ngi.quality, snapshot.metrics.psi.quality, snapshot.state) == ("ok", "stale", "live")
    assert snapshot.metrics.psi.value == pytest.approx(before.metrics.psi.value, rel=1e-3)


def test_hedging_is_not_a_share_of_the_volume_of_a_few_markets() -> None:
    expected = tuple(ExpectedMarket(name, Market.PERP, True, True) for name in ("binance", "bybit", "okx"))
    snapshot = shot(frame(trades=ONE_PRINT), NAIVE, market(expected=expected))
    check(snapshot)
    assert (snapshot.liquidity.adv_usd, snapshot.liquidity.adv_missing) == (None, ("bybit perp", "okx perp"))
    assert snapshot.scenario.overlay == "UNKNOWN: no venue volume"
    assert "liquidity.adv_usd: no venue volume, only of binance perp" in snapshot.unavailable
    two = market(expected=expected[:2])
    partial = shot(frame(trades=ONE_PRINT), NAIVE, two)
    assert (partial.liquidity.adv_usd, partial.liquidity.adv_quality) == (2.4e9, "partial")
    assert "liquidity.adv_usd: partial, without fresh data of bybit perp" in partial.unavailable


def test_a_market_that_moved_while_stale_raises_no_alert_then_or_afterwards() -> None:
    walk = path([SPOT * factor for factor in (0.9, 0.9, 1.1, 1.1, 1.1)], every_s=60.0)
    boards = [replace(board, received=RECEIVED) if 0 < i < 4 else board for i, board in enumerate(walk)]
    snapshots = run(boards, NAIVE)[1]
    assert [snapshot.state for snapshot in snapshots] == ["live", "stale", "stale", "stale", "live"]
    for snapshot in snapshots[:-1]:
        assert alert_kinds(snapshot) == []
    assert "FLIP" not in alert_kinds(snapshots[-1])


def test_thin_board_is_partial_and_unseen_history_is_warming() -> None:
    thin = frame(sigma=np.where(np.arange(42) % 2, NAN, 0.5))
    assert shot(thin, NAIVE).metrics.ngi.quality == "partial"
    unseen = shot(frame(trades=ONE_PRINT), FLOW)
    assert unseen.positions.warming
    assert unseen.scenario.overlay == "UNKNOWN: positions warming"
    assert not shot(frame(full_history=np.ones(42, np.bool_)), FLOW).positions.warming


def test_band_holds_the_value_and_psi_is_ngi_over_depth() -> None:
    metrics = shot(frame(trades=ONE_PRINT), FLOW, market(depth=2e7)).metrics
    for name in ("ngi", "vss", "volg", "hpp", "psi"):
        metric = getattr(metrics, name)
        assert metric.lo < metric.value < metric.hi, name
    assert metrics.psi.value == pytest.approx(known(metrics.ngi.value) / 2e7)


def test_parts_of_the_hedge_flow_add_up_and_the_residual_is_small_for_a_small_move() -> None:
    last = run(path([SPOT * (1 + 0.00003 * i) for i in range(16)]), NAIVE)[1][-1].metrics.hedge_flow
    gamma, vanna, charm = known(last.gamma), known(last.vanna), known(last.charm)
    assert last.value == pytest.approx(gamma + vanna + charm)
    assert abs(known(last.residual)) < 0.2 * abs(gamma) + abs(charm)


def test_a_hedge_flow_of_less_than_fifteen_minutes_is_partial_and_says_how_long_it_is() -> None:
    snapshots = run(path([SPOT] * 16), NAIVE)[1]
    assert [s.metrics.hedge_flow.quality for s in snapshots] == ["absent"] + ["partial"] * 13 + ["ok"] * 2
    assert any(reason.startswith("hedge_flow: partial, of 5 min,") for reason in snapshots[5].unavailable)
    assert not any(reason.startswith("hedge_flow") for reason in snapshots[15].unavailable)


def test_step_changes_neither_its_state_nor_its_frames() -> None:
    state, _ = run([frame()], FLOW)
    stored = encode_book(state.book)
    board = frame(ts_ns=NOW + SECOND, trades=trade_columns([0], [1], [2.0]))
    one = step(state, board, market(), (), FLOW, 2)[1]
    other = step(state, board, market(), (), FLOW, 2)[1]
    assert one.digest() == other.digest()
    assert encode_book(state.book) == stored


@pytest.mark.parametrize(("age_s", "state"), [(5.0, "live"), (5.1, "slow")])
def test_a_live_connection_without_data_is_slow(age_s: float, state: str) -> None:
    silent = replace(FEEDS[0], state=FeedState.LIVE, age_s=age_s)
    snapshot = step(FlowState.initial(), frame(), market(), (silent,), NAIVE, 1)[1]
    assert snapshot.feeds[0].state == state
