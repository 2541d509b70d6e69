"""The verbs of a hedge: never surer than the band, nor than the sign that spot decides."""

from __future__ import annotations

import pytest

from dfmon.model.hedging import Unwind, flat_limit, hedge_verb, settlement_hedge, with_doubt
from dfmon.model.positions import Positions


@pytest.mark.parametrize(
    ("value", "low", "high", "verb"),
    [
        (None, None, None, "n/a"),
        (1e6, 0.5e6, 2e6, "buy"),
        (-1e6, -2e6, -0.5e6, "sell"),
        (-1e6, None, None, "sell"),
        (-1e6, -2e6, 0.5e6, "unsure"),
        (-0.2e6, -4.2e6, 3.4e6, "unsure"),  # a small mean of a wide band is not flat
        (-0.1e6, -0.2e6, 0.1e6, "flat"),
        (0.1e6, 0.05e6, 0.2e6, "flat"),
        (0.0, None, None, "flat"),
    ],
)
def test_a_verb_needs_a_band_on_one_side(value: float | None, low: float | None, high: float | None, verb: str) -> None:
    assert hedge_verb(value, low, high, flat_usd=0.25e6) == verb


@pytest.mark.parametrize(("depth", "hedge", "verb"), [
    (180e6, 0.17e6, "flat"), (180e6, 0.2e6, "buy"), (1.2e6, 1e3, "flat"), (1.2e6, 0.17e6, "buy"), (None, 1e3, "buy"),
    (None, 0.0, "flat"),
])  # fmt: skip
def test_a_flat_hedge_is_small_for_the_market_of_its_coin(depth: float | None, hedge: float, verb: str) -> None:
    assert hedge_verb(hedge, None, None, flat_limit(depth)) == verb


def test_a_settlement_whose_sign_hangs_on_spot_is_unsure() -> None:
    """Held now dealers would sell, at the window they buy if spot stays: half a sigma decides."""
    turning = Unwind(-14e6, -26e6, 0.8e6, at_window=12.6e6, at_window_lo=2.3e6, at_window_hi=27e6)
    assert settlement_hedge(turning) == (12.6e6, -14e6, 27e6)
    assert hedge_verb(*settlement_hedge(turning), 0.0) == "unsure"
    agreeing = Unwind(14e6, 1e6, 26e6, at_window=12.6e6, at_window_lo=2.3e6, at_window_hi=27e6)
    assert settlement_hedge(agreeing) == (12.6e6, 2.3e6, 27e6)
    assert settlement_hedge(Unwind()) == (None, None, None)


def test_a_board_that_does_not_show_its_sign_has_no_side() -> None:
    decided = Positions("flow", 0.9, False, decided=True)
    assert with_doubt(decided, 5e6, 1e6, 9e6) == (5e6, 1e6, 9e6)
    for undecided in (False, None):
        doubted = with_doubt(Positions("flow", 0.9, False, decided=undecided), 5e6, 1e6, 9e6)
        assert doubted == (5e6, -5e6, 9e6)
        assert hedge_verb(*doubted, 0.0) == "unsure"
    assert with_doubt(Positions("naive", None, False), 5e6, None, None) == (5e6, None, None)
