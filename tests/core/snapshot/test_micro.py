"""Micro-structure in the snapshot: sums, means, the two laws of impact, and the reasons for what is missing."""

import math
from dataclasses import replace

import msgspec
import pytest

from dfmon.core.step import FlowParams, FlowState, step
from dfmon.model.events import Market
from dfmon.model.frames import MarketFrame, VenueFlow, VenueMarket
from dfmon.model.snapshot import FlowSnapshot, from_json, to_json
from dfmon.model.units import NAN
from tests.chains import SPOT, market, path, shot
from tests.snapshot_checks import check
from tests.tui import factory

SHORT = FlowParams("short-all")
BOOK = VenueFlow(1, bid=SPOT - 0.5, bid_size=3.0, ask=SPOT + 0.5, ask_size=1.0)


def around(ts_ns: int, minute: int, buy: float = 2e6, sell: float = 1e6, ofi: float = 5e5) -> MarketFrame:
    """A perpetual with this flow a minute, and a spot market with a book and no prints."""
    flow = msgspec.structs.replace(
        BOOK, last_print_ns=ts_ns, buy_usd=minute * buy, sell_usd=minute * sell, imbalance_usd=minute * ofi
    )
    (perp,) = market().markets
    spot = VenueMarket("okx", Market.SPOT, SPOT, 1e7, 0.8e9, NAN, NAN, NAN, 0.1, 0.1, 0.1, BOOK)
    spot = replace(spot, flow=msgspec.structs.replace(BOOK, bid_size=1.0, ask_size=1.0))
    return MarketFrame((replace(perp, flow=flow), spot), 0.0, 0.0)


def snapshots(params: FlowParams, spots: list[float], **flow: float) -> list[FlowSnapshot]:
    state, shown = FlowState.initial(), []
    for minute, chain in enumerate(path(spots, 20.0)):
        state, snapshot = step(state, chain, around(chain.ts_ns, minute, **flow), (), params, minute + 1)
        shown.append(snapshot)
    return shown


RALLY = [SPOT * (1 + 0.0002 * at) for at in range(60)]


@pytest.mark.slow
def test_flow_quotes_and_perpetuals_are_in_the_snapshot_and_its_json() -> None:
    last = snapshots(SHORT, RALLY)[-1]
    micro = last.micro
    window = micro.window(15)
    assert window is not None
    assert (window.taker_buy_usd, window.taker_sell_usd, window.imbalance_usd) == (90e6, 45e6, 22.5e6)
    assert window.covered == pytest.approx(1.0)
    assert micro.sources == ("binance.perp",)
    assert micro.spread_bps == pytest.approx(1.0 / SPOT * 1e4)
    assert micro.queue_imbalance == pytest.approx((2.4 * 0.5 + 0.8 * 0.0) / 3.2), "weighted by volume"
    assert micro.micro_price_bps == pytest.approx(2.4 / 3.2 * 0.25 / SPOT * 1e4)
    assert [(row.venue, row.funding_8h, row.open_interest_usd) for row in micro.perpetuals] == [("binance", 1e-4, 1e9)]
    assert from_json(to_json(last, "live")).micro == micro


def test_every_missing_number_has_a_reason() -> None:
    for snapshot in (*snapshots(SHORT, RALLY[:5]), shot(path([SPOT])[0], SHORT, MarketFrame((), 0.0, 0.0))):
        check(snapshot)
    reasons = shot(path([SPOT])[0], SHORT).unavailable
    assert "micro.kyle: 0 of 60 minutes of spot and taker flow" in reasons


@pytest.mark.slow
def test_flow_against_the_pressure_is_a_reason_of_the_scenario_for_the_model_that_it_contradicts() -> None:
    """Dealers short gamma have to buy a rally: takers who sell it disagree, takers who buy it do not."""
    sold, bought = (
        snapshots(SHORT, RALLY, buy=1e6, sell=3e6, ofi=-5e5)[-1],
        snapshots(SHORT, RALLY, buy=3e6, sell=1e6, ofi=5e5)[-1],
    )
    assert sold.metrics.hpp.value is not None
    assert sold.metrics.hpp.value < 0.0
    assert sold.micro.disagreement == "hedge pressure is to buy, order flow sold 90.0M net in 15 min"
    assert sold.scenario.reasons[-1] == sold.micro.disagreement
    assert bought.micro.disagreement == ""
    assert "order flow" not in " ".join(bought.scenario.reasons)


def test_impact_is_an_interval_of_two_laws_and_psi_follows_the_law_in_force() -> None:
    by_depth, by_root = (shot(path([SPOT])[0], FlowParams("naive", impact_law=law)) for law in ("linear", "sqrt"))
    impact, ngi, sigma = by_depth.micro.impact, by_depth.metrics.ngi.value, by_depth.context.atm_iv
    assert impact is not None
    assert by_root.micro.impact is not None
    assert ngi is not None
    assert sigma is not None
    assert impact.linear == pytest.approx(abs(ngi) / 3e7)
    assert impact.sqrt == pytest.approx(100.0 * sigma / math.sqrt(365.0) * math.sqrt(abs(ngi) / 2.4e9))
    assert (impact.value, by_root.micro.impact.value) == (impact.linear, impact.sqrt)
    assert by_depth.metrics.psi.value == pytest.approx(math.copysign(impact.linear, ngi))
    assert by_root.metrics.psi.value == pytest.approx(math.copysign(impact.sqrt, ngi))


def test_snapshot_without_micro_structure_is_read() -> None:
    """Schema 1 has none."""
    old = msgspec.json.decode(to_json(factory.snapshot(), "live"))
    del old["micro"]
    assert from_json(msgspec.json.encode(old)).micro.windows == ()
