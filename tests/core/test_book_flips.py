"""The flips of all books of a board against each book alone, option by option."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfmon.core.book_exposure import SCALES, flips_of_books, measure_exposure, price_board
from dfmon.core.columns import Columns, priceable_columns
from dfmon.core.exposure.band_scales import ODDS
from dfmon.core.flip.board_flips import BookFlips
from dfmon.core.flip.coin_gamma import CoinOptions
from dfmon.core.flip.gamma_flip import HORIZONS, find_flip
from dfmon.core.flip.grid import Stickiness
from dfmon.core.flip.regime import calibrated
from dfmon.core.positions.counter_rng import MEMBERS
from dfmon.core.positions.dealer_net import DealerPositions
from dfmon.core.pricing.greek_calc import Numeraire
from dfmon.model.frames import ChainFrame
from dfmon.model.metrics import EXPOSURE_INDEX
from tests.chains import SPOT, frame

DAYS = (0.25 / 24, 0.9, 5.0, 9.0, 37.0)


def books(chain: ChainFrame) -> dict[str, Columns]:
    """A book without an ensemble, one with it, and one of one sign."""
    rng = np.random.default_rng(8)
    position = rng.normal(0.0, 10.0, chain.size)
    members = position[:, None] + rng.normal(0.0, 4.0, (chain.size, MEMBERS))
    flow = priceable_columns(chain, DealerPositions("flow", position, members, None, None))
    naive = DealerPositions("naive", chain.option_type * chain.open_interest)
    short = DealerPositions("short-all", -chain.open_interest)
    return {"naive": flow.with_book(naive), "flow": flow, "short-all": flow.with_book(short)}


def flips_of(
    chain: ChainFrame, numeraire: Numeraire = "usd", stickiness: Stickiness = "strike", off_venue_sd: float = 0.0
) -> tuple[dict[str, Columns], dict[str, BookFlips]]:
    by_model = books(chain)
    board = price_board(chain, by_model["flow"], numeraire)
    return by_model, flips_of_books(chain.spot, board, by_model, stickiness, off_venue_sd)


@pytest.mark.parametrize("numeraire", ["usd", "coin"])
@pytest.mark.parametrize("stickiness", ["strike", "moneyness"])
def test_each_book_and_horizon_is_that_of_its_options_alone(numeraire: Numeraire, stickiness: Stickiness) -> None:
    chain = replace(frame(days=DAYS), delivery_average=SPOT * 1.001)
    by_model, found = flips_of(chain, numeraire, stickiness)
    assert set(found) == set(by_model)
    for model, cols in by_model.items():
        assert cols.terms.share.min() < 0.6  # what is settling counts by its share
        coin = CoinOptions(cols.option_type, chain.inverse[cols.rows]) if numeraire == "coin" else None
        assert set(found[model].by_horizon) == set(HORIZONS)
        for horizon, limit in HORIZONS.items():
            exposure = cols.position * cols.terms.share * (cols.tau <= limit)
            alone = find_flip(
                SPOT, cols.forward, cols.terms.strike, cols.sigma, cols.terms.tau, exposure,
                stickiness=stickiness, expiry=cols.expiries[cols.expiry_code], coin=coin,
            )  # fmt: skip
            flip = found[model].by_horizon[horizon]
            assert [root.level for root in flip.roots] == pytest.approx([root.level for root in alone.roots], rel=1e-9)
            assert [root.rising for root in flip.roots] == [root.rising for root in alone.roots]
            assert flip.sign == alone.sign
        assert found[model].regime.side == found[model].flip.sign


@pytest.mark.parametrize("numeraire", ["usd", "coin"])
def test_side_agreement_and_profile_are_those_of_net_gamma_impact(numeraire: Numeraire) -> None:
    chain = frame(days=DAYS[1:])
    by_model, found = flips_of(chain, numeraire)
    board = price_board(chain, by_model["flow"], numeraire)
    for model, flips in found.items():
        exposure = measure_exposure(board, by_model[model], flips)
        assert flips.regime.side == np.sign(exposure.totals.ngi)
        at_spot = float(np.interp(np.log(SPOT), np.log(flips.flip.spots), flips.flip.ngi))
        assert at_spot == pytest.approx(exposure.totals.ngi, rel=2e-3)
        if exposure.members is None:
            assert (flips.regime.agree, flips.roots, flips.band) == (None, None, None)
            continue
        ngi = exposure.members[EXPOSURE_INDEX["ngi"]]
        same = float(np.mean(np.sign(ngi) == flips.regime.side))
        assert flips.regime.agree == pytest.approx(calibrated(same, *ODDS["sign"]), rel=1e-12)
        assert flips.band is not None
        low, high = (float(np.interp(np.log(SPOT), np.log(flips.flip.spots), row)) for row in flips.band)
        total, quantiles = exposure.totals.ngi, np.quantile(ngi, (0.05, 0.95))
        assert (low, high) == pytest.approx(tuple(total + SCALES["ngi"] * (quantiles - total)), rel=5e-3)


def test_books_on_other_venues_widen_bands_and_not_the_flip() -> None:
    chain = frame(days=DAYS)
    (_, alone), (_, shared) = flips_of(chain), flips_of(chain, off_venue_sd=0.5)
    assert alone["flow"].flip.roots == shared["flow"].flip.roots
    assert alone["flow"].band is not None
    assert shared["flow"].band is not None
    width, wider = (float(np.diff(band, axis=0).mean()) for band in (alone["flow"].band, shared["flow"].band))
    assert wider > width
    assert alone["naive"].regime == shared["naive"].regime


def test_without_spot_options_or_books_there_is_no_flip() -> None:
    chain = frame(days=DAYS)
    by_model = books(chain)
    board = price_board(chain, by_model["flow"], "usd")
    assert flips_of_books(np.nan, board, by_model, "strike") == {}
    assert flips_of_books(SPOT, board, {}, "strike") == {}
    empty = replace(chain, sigma=np.full(chain.size, np.nan))
    assert flips_of(empty)[1] == {}


def test_a_horizon_without_options_has_no_gamma() -> None:
    _, found = flips_of(frame(days=(9.0, 37.0)))
    for horizon in ("today", "week"):
        flip = found["flow"].by_horizon[horizon]
        assert (flip.level, flip.sign) == (None, 0)
    assert found["flow"].flip.sign != 0
