"""Two venues side by side: equal boards agree in everything, and what differs is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfmon.core.pricing.greek_calc import greeks
from dfmon.evidence.cme_file import read_cme
from dfmon.evidence.naive_book import naive_book, naive_profile, smile_at, years_left
from dfmon.evidence.venue_pairs import boards_of, pair_boards, pair_files
from dfmon.model.errors import UsageError
from tests import shared_data
from tests.evidence.cme_files import deribit_board, settlements, written


def test_board_with_itself_agrees(tmp_path: Path) -> None:
    (board,) = boards_of(deribit_board(tmp_path / "board.csv"))["BTC"]
    pair = pair_boards(board, board, "BTC")
    assert pair.share == 0.5
    assert pair.correlation == pytest.approx(1.0)
    assert pair.gross_ratio == 1.0
    assert pair.first == pair.second
    (expiry,) = pair.expiries
    assert expiry.iv == pytest.approx((0.0,) * 5)


def test_gamma_is_the_sum_over_options(tmp_path: Path) -> None:
    (board,) = boards_of(deribit_board(tmp_path / "board.csv"))["BTC"]
    gamma = greeks(board.forward, board.strike, board.sigma, years_left(board), board.option_type).gamma
    usd = gamma * board.forward**2 * 0.01 * board.open_interest
    book = naive_book(board, 90_000.0)
    assert book.gross == pytest.approx(usd.sum())
    assert book.ngi == pytest.approx(usd @ board.option_type, abs=1e-6 * book.gross)
    profile = naive_profile(board, 90_000.0, np.array([90_000.0, 95_000.0]))
    assert profile[0] == pytest.approx(book.ngi, abs=1e-9 * book.gross)


def test_smile_between_strikes(tmp_path: Path) -> None:
    (board,) = boards_of(deribit_board(tmp_path / "board.csv"))["BTC"]
    expiry_ns = int(board.expiry_ns[0])
    bent = board._replace(sigma=0.5 + 1e-6 * np.abs(board.strike - 90_000.0))
    assert smile_at(bent, expiry_ns, np.array([0.5]))[0] == pytest.approx(0.5, abs=2e-3)
    assert 0.5 < smile_at(bent, expiry_ns, np.array([0.25]))[0] < 0.51
    assert np.isnan(smile_at(bent, expiry_ns, np.array([0.0001, 0.9999]))).all()


def test_cme_beside_a_board(tmp_path: Path) -> None:
    (board,) = boards_of(deribit_board(tmp_path / "board.csv"))["BTC"]
    (cme,) = read_cme(written(tmp_path / "cme.csv", settlements())).boards.values()
    pair = pair_boards(board, cme, "BTC", "instant")
    assert pair.second.interest == 2_300.0
    assert pair.share == pytest.approx(2_300.0 / 3_300.0)
    assert pair.gross_ratio == pytest.approx(2.3, rel=0.05)  # the same volatility, eight hours more
    assert [e.expiry for e in pair.expiries] == ["30JAN26"]
    assert np.abs(np.array(pair.expiries[0].iv, float)).max() < 0.01


def test_boards_at_other_times_do_not_pair(tmp_path: Path) -> None:
    first = deribit_board(tmp_path / "first.csv")
    second = deribit_board(tmp_path / "second.csv", "2026-01-22T22:00:00+00:00")
    with pytest.raises(UsageError, match="no boards of one underlying within an hour"):
        pair_files(first, second)


@pytest.mark.slow
def test_recorded_venues() -> None:
    folder = shared_data.chains()
    pairs, skipped = pair_files(
        folder / "deribit_chain_daily_202607.parquet", folder / "okx_chain_daily_202607.parquet"
    )
    assert not skipped
    for name, share, correlation in (("BTC", 0.084, 0.90), ("ETH", 0.183, 0.94)):
        own = [pair for pair in pairs if pair.underlying == name]
        assert len(own) == 28
        assert np.median([pair.share for pair in own]) == pytest.approx(share, abs=0.002)
        assert np.median([pair.correlation for pair in own]) == pytest.approx(correlation, abs=0.01)
        forwards = [e.other_forward / e.forward - 1.0 for pair in own for e in pair.expiries]
        assert np.median(np.abs(forwards)) < 3e-4
