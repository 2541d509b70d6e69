"""Public files of many origins: which layout, how many options, which units and spots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dfmon
from dfmon.model.errors import UsageError
from dfmon.model.events import IndexPrice, OptionTicker
from dfmon.store.boards import BoardFile, RecordedBoard, report
from tests import shared_data
from tests.store.store_samples import events_of_type


def data(name: str) -> Path:
    """A file of the recorded data; skips the test where it is absent."""
    path = shared_data.chains().parent / name
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="parquet boards need pyarrow (dfmon[parquet])")
    return path


def spot_of(board: RecordedBoard) -> float:
    return events_of_type(IndexPrice, board.events)[0].price


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "phrases", "options"),
    [
        (
            "chains/deribit_BTC_20260122_options_raw.csv.gz",
            ("a ticker board", "mark_iv as per cent (the marks agree)"),
            {"BTC": 678},
        ),
        (
            "chains/deribit_options_snapshot_20260205T212937Z.csv.gz",
            ("a snapshot board", "implied_volatility as a fraction (the marks agree)"),
            {"BTC": 902, "ETH": 938},
        ),
        (
            "published/r1quant_chain_20260123T0200Z.csv.gz",
            ("an hourly chain", "per cent", "zone as UTC", "08:00 UTC", "forwards from the deltas"),
            {"BTC": 682},
        ),
        (
            "published/tera1oo4_gex_btc_20251119T112113Z.json.gz",
            ("a ticker board", "mark_iv as per cent (the marks agree)"),
            {"BTC": 760},
        ),
        ("messages/openbb_rest/option_tickers_20260920.json", ("a ticker board", "per cent"), {"BTC": 6, "XRP": 6}),
    ],
)
def test_public_file(name: str, phrases: tuple[str, ...], options: dict[str, int]) -> None:
    file = BoardFile(data(name))
    found = {b.underlying: len(events_of_type(OptionTicker, b.events)) for b in file.last_boards()}
    line = report.summary(file.findings)
    assert found == options
    assert not [phrase for phrase in phrases if phrase not in line], line
    assert "left out" not in line


@pytest.mark.slow
def test_two_venues_daily_agree_on_spot_and_forwards() -> None:
    """One publishes per cents and forwards, the other fractions, contracts and its index: the units come out equal."""
    deribit = BoardFile(data("chains/deribit_chain_daily_202607.parquet"))
    okx = BoardFile(data("chains/okx_chain_daily_202607.parquet"))
    pairs = list(zip(deribit.boards(), okx.boards()))
    assert len(pairs) == 56
    for ours, theirs in pairs:
        assert (ours.underlying, ours.ts_ns) == (theirs.underlying, theirs.ts_ns)
        assert spot_of(theirs) == pytest.approx(spot_of(ours), rel=2e-3)
        vols = [np.median([t.mark_iv for t in events_of_type(OptionTicker, b.events)]) for b in (ours, theirs)]
        assert vols[1] == pytest.approx(vols[0], rel=0.15)
    assert "mark_iv as per cent (the marks agree)" in report.summary(deribit.findings)
    line = report.summary(okx.findings)
    assert "mark_iv as a fraction (the marks agree)" in line
    assert "contracts of 0.01 BTC and 0.1 ETH" in line
    assert "forwards by put-call parity of the marks" in line


def test_forwards_from_the_deltas_repeat_those_that_are_published() -> None:
    """Deltas of five decimals give the forward of an expiry to a few parts in a million, on a board that has both."""
    board = dfmon.Board.from_file(data("chains/deribit_BTC_20260122_options_raw.csv.gz"))
    published = dict(zip(board.names, board.forward))
    rows = [
        {"instrument_name": name, "date": "2026-01-22T12:30:43", "expiry_date": _day(tau), "strike": strike,
         "type": "call" if sign > 0 else "put", "open_interest": 1.0, "mark_iv": sigma * 100, "delta": round(delta, 5)}
        for name, tau, strike, sign, sigma, delta in zip(
            board.names, board.tau, board.strike, board.option_type, board.sigma,
            dfmon.greeks(board.forward, board.strike, board.sigma, board.tau, option_type=board.option_type).delta,
        )
    ]  # fmt: skip
    derived = dfmon.Board.from_deribit(rows, spot=board.spot)
    assert derived.reading.startswith("read as an hourly chain")
    for name, forward in zip(derived.names, derived.forward):
        assert forward == pytest.approx(published[name], rel=1e-4)


def _day(tau: float) -> str:
    day = np.datetime64("2026-01-22T12:30:43") + np.timedelta64(round(tau * 365 * 86_400), "s")
    return str(day.astype("datetime64[D]"))


@pytest.mark.parametrize(
    "name",
    [
        "chains/deribit_BTC_20260114_futures_raw.csv.gz", "published/kbj2060_eth_gex_rv.csv",
        "published/r1quant_gex_20260123T0200Z.csv", "tape/deribit_btc_option_trades_2019.parquet",
        "tape/deribit_btc_option_trades_20220101.csv.gz", "trades/openbb_trades_currency_20260920.json",
        "index/btc_dvol_daily_2021_2026.csv", "instruments/openbb_instruments_option_20260920.json",
        "messages/nautilus_handmade/okx_http_get_option_summary.json",
    ],
)  # fmt: skip
def test_what_is_no_board_is_one_short_sentence(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        BoardFile(data(name))
    assert str(caught.value).startswith(Path(name).name)
    assert len(str(caught.value)) <= 200
