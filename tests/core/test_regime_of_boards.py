"""The regime in the snapshot: both edges of the book of the audit, the numeraire, and recorded boards by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import ndtr

from dfmon.core.flip.gamma_flip import HORIZONS
from dfmon.core.pricing.greek_calc import Numeraire
from dfmon.core.step import FlowParams
from dfmon.model.frames import F64, ChainFrame
from dfmon.model.regime_text import snapshot_regime
from dfmon.model.snapshot import Detail, FlowSnapshot
from tests.chains import NOW, SPOT, frame, known, shot
from tests.core.boards import Board, snapshot_board, ticker_board

LEVELS = (76_000.0, 80_500.0, 86_000.0, 92_000.0)


def three_flips() -> tuple[ChainFrame, FlowParams]:
    """Dealers short, long, short and long of four strikes: flips up, down and up."""
    chain = frame(strikes=LEVELS, days=(1.5,), spot=81_000.0, open_interest=np.full(8, 100.0))
    held = {name: float(size) for name, size in zip(chain.names[::2], (-50.0, 50.0, -50.0, 50.0))}
    return chain, FlowParams("file", file_positions=held)


def test_the_regime_has_both_edges_with_their_directions() -> None:
    chain, params = three_flips()
    snapshot = shot(chain, params)
    assert [root.direction for root in snapshot.flip.roots] == ["up", "down", "up"]
    regime, (lower, upper, _) = snapshot.regime, snapshot.flip.roots
    assert regime.side == "long"
    assert regime.below is not None
    assert regime.above is not None
    assert (regime.below.level, regime.below.direction) == (lower.level, "up")
    assert (regime.above.level, regime.above.direction) == (upper.level, "down")
    assert (regime.agree, regime.below.p, regime.above.p, regime.above.lo) == (None,) * 4  # a convention
    sentence = f"long gamma {lower.level:,.0f} to {upper.level:,.0f}, short "
    assert str(snapshot_regime(snapshot)).startswith(sentence)
    assert snapshot.metrics.ngi.value is not None
    assert snapshot.metrics.ngi.value > 0.0


def test_the_nearest_flip_of_a_long_book_may_be_a_down_flip() -> None:
    chain, params = three_flips()
    upper = shot(chain, params).flip.roots[1].level
    snapshot = shot(replace(chain, spot=upper * 0.999, forward=chain.forward * (upper * 0.999 / 81_000.0)), params)
    assert snapshot.flip.level == pytest.approx(upper, rel=2e-3)
    assert snapshot.regime.side == "long"
    assert snapshot.regime.above is not None
    assert (snapshot.regime.above.direction, snapshot.flip.net) == ("down", 1)
    assert str(snapshot_regime(snapshot)).endswith("short above")


@pytest.mark.parametrize("positions", ["naive", "short-all"])
def test_under_the_coin_numeraire_flip_and_profile_are_those_of_its_net_gamma(positions: str) -> None:
    chain = frame(days=(0.9, 9.0, 37.0))
    numeraires: tuple[Numeraire, ...] = ("usd", "coin")
    for numeraire in numeraires:
        snapshot = shot(chain, FlowParams(positions, numeraire=numeraire))
        assert (snapshot.numeraire, snapshot.stickiness) == (numeraire, "strike")
        ngi = known(snapshot.metrics.ngi.value)
        assert snapshot.flip.net == np.sign(ngi)
        assert snapshot.regime.side == ("long" if ngi > 0.0 else "short")
        assert isinstance(snapshot.detail, Detail)
        profile = snapshot.detail.profile
        at_spot = float(np.interp(np.log(SPOT), np.log(profile.spots), profile.ngi))
        assert at_spot == pytest.approx(ngi, rel=5e-3)
        for root in snapshot.flip.roots:
            assert abs(np.interp(root.level, profile.spots, profile.ngi)) < 1e-3 * max(map(abs, profile.ngi))
    assert shot(chain, FlowParams("naive", numeraire="coin")).flip.roots != shot(chain, FlowParams("naive")).flip.roots


# ---- recorded boards -------------------------------------------------------------------------------------------------

BOARDS = {
    "BTC 2026-01-22": lambda: ticker_board("20260122"),
    "BTC 2025-12-30": lambda: snapshot_board("20251230T173115Z", "BTC"),
    "ETH 2026-02-05": lambda: snapshot_board("20260205T212937Z", "ETH"),
}


def recorded(board: Board) -> tuple[ChainFrame, Board]:
    """The rows of a board with all their columns, at least an hour before settlement, as a frame and by themselves."""
    usable = (board.tau > 6.0 / 8760.0) & (board.sigma > 0.01) & (board.open_interest > 0.0) & (board.forward > 0.0)
    rows = np.flatnonzero(usable)
    columns = (board.forward, board.strike, board.sigma, board.tau, board.option_type, board.open_interest)
    forward, strike, sigma, tau, option_type, open_interest = (column[rows] for column in columns)
    n, template = rows.size, frame()
    unset = np.full(n, np.nan)
    chain = replace(
        template,
        spot=board.spot,
        uid=np.arange(n),
        names=tuple(f"BTC-{i}" for i in range(n)),
        expiry_ns=NOW + np.round(tau * 365 * 86_400_000_000_000).astype(np.int64),
        strike=strike,
        option_type=option_type.astype(np.int8),
        inverse=np.ones(n, np.bool_),
        forward=forward,
        sigma=sigma,
        bid_sigma=unset,
        ask_sigma=unset,
        mark=unset,
        bid=unset,
        ask=unset,
        open_interest=open_interest,
        volume=unset,
        data_ns=np.full(n, NOW),
        first_seen_ns=np.full(n, NOW),
        full_history=np.zeros(n, np.bool_),
        listed_ns=np.zeros(n, np.int64),
        interest=open_interest,
        interest_ns=np.full(n, NOW),
        lost_prints=np.zeros(n),
    )
    return chain, Board(board.spot, forward, strike, sigma, tau, option_type, open_interest, tau, [])


def net_gamma(board: Board, level: float, coin: bool, longest: float) -> float:
    """Sum of D 0.01 F'^2 gamma of the naive book, less the gamma of the premium in coin."""
    forward = board.forward * (level / board.spot)
    v = board.sigma * np.sqrt(board.tau)
    d1 = np.log(forward / board.strike) / v + 0.5 * v
    gamma: F64 = np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi) / (forward * v)
    if coin:
        exercise = board.option_type * ndtr(board.option_type * (d1 - v))
        gamma = gamma - board.strike / forward**2 * exercise
    held = board.option_type * board.open_interest * (board.tau <= longest)
    return float((0.01 * forward**2 * gamma) @ held)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOARDS)
@pytest.mark.parametrize("numeraire", ["usd", "coin"])
def test_flips_of_recorded_boards_are_those_of_brentq_option_by_option(name: str, numeraire: Numeraire) -> None:
    chain, board = recorded(BOARDS[name]())
    snapshot: FlowSnapshot = shot(chain, FlowParams("naive", numeraire=numeraire))
    coin = numeraire == "coin"
    assert snapshot.metrics.ngi.value == pytest.approx(net_gamma(board, board.spot, coin, np.inf), rel=1e-9)
    levels = np.geomspace(*known_range(snapshot), 3001)
    net = np.array([net_gamma(board, level, coin, np.inf) for level in levels])
    at = np.flatnonzero(np.sign(net[:-1]) != np.sign(net[1:]))
    exact = [
        brentq(lambda level: net_gamma(board, level, coin, np.inf), levels[i], levels[i + 1], xtol=1e-8) for i in at
    ]
    assert [root.level for root in snapshot.flip.roots] == pytest.approx(exact, rel=1e-11)
    assert [root.direction for root in snapshot.flip.roots] == ["up" if net[i] < 0.0 else "down" for i in at]
    for row in snapshot.flip.by_horizon:
        if row.level is not None:
            size = abs(net_gamma(board, row.level * 1.01, coin, HORIZONS[row.horizon]))
            assert abs(net_gamma(board, row.level, coin, HORIZONS[row.horizon])) < 1e-9 * size


def known_range(snapshot: FlowSnapshot) -> tuple[float, float]:
    assert snapshot.flip.searched is not None
    return snapshot.flip.searched
