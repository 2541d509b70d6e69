"""The library: every shape and argument it takes, what it refuses and how, and what importing it costs."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import dfmon
from dfmon.core.flip.gamma_flip import find_flip
from dfmon.core.pricing.settlement import settlement_terms

GUIDE = Path(__file__).parents[2] / "docs" / "api.md"
NOW_MS = 1_769_680_000_000


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def summary(name: str, **changed: object) -> dict[str, object]:
    row = {"instrument_name": name, "mark_iv": 50.0, "underlying_price": 90_000.0, "open_interest": 10.0,
           "estimated_delivery_price": 89_500.0, "creation_timestamp": NOW_MS}  # fmt: skip
    return row | changed


def small(**changed: object) -> dfmon.Board:
    columns: dict[str, Any] = {"spot": 100.0, "strike": [90.0, 110.0], "sigma": 0.5, "tau": 0.02}
    columns |= {"option_type": ["put", "call"], "open_interest": 1.0}
    return dfmon.Board(**(columns | changed))


@pytest.mark.slow
def test_importing_dfmon_is_cheap_and_using_it_pulls_in_neither_the_screen_nor_statistics() -> None:
    code = (
        "import sys, time; start = time.process_time(); import dfmon; spent = time.process_time() - start\n"
        "early = [m for m in ('numpy', 'scipy', 'textual') if m in sys.modules]\n"
        "dfmon.greeks, dfmon.implied_vol, dfmon.exposures, dfmon.flip, dfmon.Board\n"
        "late = [m for m in ('textual', 'rich', 'scipy', 'websockets', 'httpx')"
        " if m in sys.modules]\n"
        "print(spent, early, late)"
    )
    elapsed_s, found = run(code).split(" ", 1)
    assert found.split() == ["[]", "[]"]
    assert float(elapsed_s) < 0.25


@pytest.mark.slow
def test_the_guide_runs_as_written(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(blocks) >= 10
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(GUIDE), "exec"), names)
    assert "sigma: shape (3,) does not broadcast with shape (2,) of forward, strike" in capsys.readouterr().out


def test_the_package_lists_its_names_and_knows_no_others() -> None:
    assert {"Board", "exposures", "flip", "greeks", "implied_vol", "__version__"} <= set(dir(dfmon))
    with pytest.raises(AttributeError, match="'dfmon' has no attribute 'gamma'"):
        _ = dfmon.gamma


@pytest.mark.parametrize(("forward", "strike", "shape"), [
    (100.0, 90.0, ()), (100, [90, 110], (2,)), ([[100], [101]], [90, 95, 110], (2, 3)), (np.float32(100), (), (0,)),
    (100.0, [], (0,)),
])  # fmt: skip
def test_greeks_have_the_shape_of_the_arguments(forward: Any, strike: Any, shape: tuple[int, ...]) -> None:
    g = dfmon.greeks(forward, strike if strike != () else [], 0.5, 0.1)
    assert g.price.shape == g.valid.shape == g.volga.shape == shape
    assert g.invalid == 0


def test_greeks_of_one_option_are_those_of_the_kernel() -> None:
    g = dfmon.greeks(105, 100, 0.36, 0.5, "PUT")
    assert float(g.delta) == pytest.approx(-0.3566 * np.exp(0.05), abs=1e-4)
    assert dfmon.greeks(105, 100, 0.36, 0.5, -1).delta == g.delta
    assert dfmon.implied_vol(g.price, 105, 100, 0.5, "p").sigma == pytest.approx(0.36, rel=1e-12)


@pytest.mark.parametrize(("column", "bad"), [(at, bad) for at in range(4) for bad in (np.nan, np.inf, 0.0, -1.0)])
def test_rows_that_cannot_be_priced_are_masked_and_counted(column: int, bad: float) -> None:
    arguments = [np.array([100.0, 100.0]), np.array([90.0, 90.0]), np.array([0.5, 0.5]), np.array([0.1, 0.1])]
    arguments[column][0] = bad
    g = dfmon.greeks(*arguments)
    settled = (column, bad) == (3, 0.0)
    assert g.invalid == (not settled)
    assert g.valid.tolist() == [settled, True]
    assert np.isfinite(g.gamma[1])
    board = dfmon.Board(spot=100.0, forward=arguments[0], strike=arguments[1], sigma=arguments[2], tau=arguments[3],
                        option_type="call", open_interest=1.0)  # fmt: skip
    book = dfmon.exposures(board)
    assert book.invalid == (not settled)
    assert np.isfinite(book.totals.ngi)
    assert dfmon.flip(board).sign == 1


def unchecked(value: object) -> Any:
    """An argument as a caller without a type checker may give it."""
    return value


@pytest.mark.parametrize(("function", "message"), [
    (lambda: dfmon.greeks("abc", 1, 1, 1), "forward: numbers are expected"),
    (lambda: dfmon.greeks(1, [1, unchecked(object())], 1, 1), "strike: numbers are expected"),
    (lambda: dfmon.greeks(1, [[1, 2], [3]], 1, 1), "strike: rows of unequal length"),
    (lambda: dfmon.greeks(1, 1, 1j, 1), "sigma: numbers are expected, not complex"),
    (lambda: dfmon.greeks(1, [1, 2], [1, 2, 3], 1), r"sigma: shape \(3,\) does not broadcast"),
    (lambda: dfmon.greeks(1, 1, 1, 1, "straddle"), "option_type: 'straddle' is no option type"),
    (lambda: dfmon.greeks(1, 1, 1, 1, settlement=unchecked("late")), "settlement: 'late' is not known; one of"),
    (lambda: dfmon.greeks(1, 1, 1, 1, numeraire=unchecked("eur")), "numeraire: 'eur'"),
    (lambda: dfmon.implied_vol("x", 1, 1, 1), "price: numbers"),
    (lambda: dfmon.implied_vol([1, 2], 1, [1, 2, 3], 1), "strike: shape"),
    (lambda: small(spot=-1), "spot: -1 is no price"),
    (lambda: small(spot=[1, 2]), "spot: "),
    (lambda: small(sigma=[0.5, 0.5, 0.5]), "sigma: shape"),
    (lambda: small(strike=[[90.0], [110.0]]), "strike: columns of one dimension"),
    (lambda: small(names=["A"]), "names: 1 names for 2 options"),
    (lambda: dfmon.exposures(unchecked(3)), "board: a dfmon.Board is expected, not int"),
    (lambda: dfmon.exposures(small(), "long"), "positions: 'long' is not known"),
    (lambda: dfmon.exposures(small(), [1, 2, 3]), r"positions: shape \(3,\)"),
    (lambda: dfmon.exposures(small(), {"X": 1}), "positions: 'X' is not on the board"),
    (lambda: dfmon.exposures(small(), numeraire=unchecked("x")), "numeraire: 'x'"),
    (lambda: dfmon.flip(small(), horizon=unchecked("month")), "horizon: 'month'"),
    (lambda: dfmon.flip(small(), stickiness=unchecked("glue")), "stickiness: 'glue'"),
    (lambda: dfmon.flip(small(), members=[1, 2]), r"members: shape \(2,\), \(2, M\) is expected"),
    (lambda: dfmon.Board.from_deribit(b"{"), "source: is no JSON"),
    (lambda: dfmon.Board.from_deribit(unchecked(3)), "source: a path"),
    (lambda: dfmon.Board.from_deribit("/no/such/board.csv"), "source: /no/such/board.csv does not exist"),
    (lambda: dfmon.Board.from_deribit([summary("BTC-PERPETUAL")]), "source: .*: BTC-PERPETUAL is no option"),
    (lambda: dfmon.Board.from_deribit([summary("BTC-1XXX26-1-C")]), "names no month"),
    (lambda: dfmon.Board.from_deribit([]), "source: it is JSON without rows of options: "),
    (lambda: dfmon.Board.from_deribit([summary("BTC-27MAR26-1-C", creation_timestamp=None)]), "with --at or `at`"),
    (lambda: dfmon.Board.from_deribit([summary("BTC-27MAR26-90000-C", estimated_delivery_price=None)]), "spot: no row"),
    (lambda: dfmon.Board.from_deribit([summary("BTC-27MAR26-1-C"), summary("ETH-27MAR26-1-C")]), "currency: the"),
    (lambda: dfmon.Board.from_deribit([summary("BTC-27MAR26-1-C")], currency="SOL"), "currency: 'SOL' is not in"),
])  # fmt: skip
def test_a_bad_argument_is_named(function: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function()


def test_an_empty_board_one_option_and_no_positions() -> None:
    empty = dfmon.Board(spot=100.0, strike=[], sigma=[], tau=[], option_type=[])
    book, found = dfmon.exposures(empty), dfmon.flip(empty)
    assert (book.totals.ngi, book.by_strike.key.size, found.level, found.sign) == (0.0, 0, None, 0)
    single = small(strike=[90.0], option_type="put")
    assert dfmon.exposures(single).totals.ngi < 0.0
    assert (dfmon.flip(single).level, dfmon.flip(single).sign) == (None, -1)
    assert dfmon.flip(small(), 0.0).sign == 0
    assert dfmon.exposures(small(), 0.0).totals.vega == 0.0


def test_positions_by_model_name_and_array() -> None:
    board = small(open_interest=[3.0, 5.0], names=["A", "B"])
    assert board.held("naive").tolist() == [-3.0, 5.0]
    assert board.held("short-all").tolist() == [-3.0, -5.0]
    assert board.held({"B": 2}).tolist() == [0.0, 2.0]
    assert board.held(np.array([1, 2])).tolist() == [1.0, 2.0]
    assert dfmon.exposures(board, {"A": -3, "B": 5}).totals == dfmon.exposures(board).totals


def test_exposures_by_strike_and_expiry_add_up() -> None:
    board = small(strike=[90.0, 110.0, 90.0], option_type=["put", "call", "call"], tau=[0.02, 0.02, 0.1])
    book = dfmon.exposures(board)
    assert book.by_strike.key.tolist() == [90.0, 110.0]
    assert book.by_expiry.key.tolist() == [0.02, 0.1]
    for name in ("ngi", "vss", "chl", "volg", "vega", "theta", "unwind"):
        total = getattr(book.totals, name)
        for groups in (book.by_strike, book.by_expiry):
            assert getattr(groups, name).sum() == pytest.approx(total, rel=1e-12, abs=1e-12)
    assert (book.unit.ngi * book.position).sum() == pytest.approx(book.totals.ngi, rel=1e-12)


def test_the_flip_is_that_of_the_kernel_and_its_horizons_are_subsets() -> None:
    board = small(
        strike=[90.0, 110.0, 95.0, 105.0], option_type=["put", "call"] * 2, tau=[0.1 / 365, 0.9 / 365, 0.01, 0.2]
    )
    found = dfmon.flip(board)
    terms = settlement_terms(board.forward, board.strike, board.tau)
    kernel_flip = find_flip(
        100.0, board.forward, terms.strike, board.sigma, terms.tau, board.held("naive") * terms.share
    )
    assert (found.level, found.roots) == (kernel_flip.level, kernel_flip.roots)
    root = next(root for root in kernel_flip.roots if root.level == kernel_flip.level)
    assert (found.direction, found.slope) == ("up" if root.rising else "down", root.slope)
    horizons: tuple[tuple[Literal["today", "week"], float], ...] = (("today", 1.0), ("week", 7.0))
    for horizon, days in horizons:
        rows = board.tau * 365 <= days
        short_dated = small(strike=board.strike[rows], option_type=board.option_type[rows], tau=board.tau[rows])
        assert dfmon.flip(board, horizon=horizon).level == dfmon.flip(short_dated).level


def test_a_band_over_members() -> None:
    board = small()
    members = np.array([[-1.0, -1.0, 1.0], [1.0, 2.0, 1.0]])
    found = dfmon.flip(board, members=members)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.high
    assert found.p_none == pytest.approx(1 / 3)
    assert dfmon.flip(board).p_none is None
    assert found.below is not None
    assert (found.below.level, found.below.rising, found.above) == (found.level, True, None)
    assert (found.below.low, found.below.high) == (found.low, found.high)
    assert found.below.p == pytest.approx(2 / 3)
    assert found.agree == 1.0
    assert dfmon.flip(board).agree is None


def test_the_flip_in_coin_is_that_of_premium_adjusted_gamma() -> None:
    board = small()
    in_coin = dfmon.flip(board, numeraire="coin")
    at_spot = float(np.interp(board.spot, in_coin.spots, in_coin.ngi))
    assert at_spot == pytest.approx(dfmon.exposures(board, numeraire="coin").totals.ngi, abs=1e-3)
    assert in_coin.level != dfmon.flip(board).level


def test_a_board_from_book_summaries() -> None:
    rows = [summary("BTC-27MAR26-90000-P"), summary("BTC-27MAR26-100000-C", mark_iv=None, open_interest=4)]
    board = dfmon.Board.from_deribit({"jsonrpc": "2.0", "result": rows})
    assert (board.size, board.spot) == (2, 89_500.0)
    assert board.strike.tolist() == [90_000.0, 100_000.0]
    assert board.option_type.tolist() == [-1.0, 1.0]
    assert board.inverse.all()
    expiry = datetime(2026, 3, 27, 8, tzinfo=UTC).timestamp()
    assert board.tau == pytest.approx((expiry - NOW_MS / 1000) / (365 * 86_400))
    assert dfmon.exposures(board).invalid == 1  # one without a volatility
    text = json.dumps({"result": rows})
    assert dfmon.Board.from_deribit(text).names == dfmon.Board.from_deribit(text.encode()).names == board.names
    later = dfmon.Board.from_deribit(rows, spot=1.0, at=datetime(2026, 3, 27, 7, tzinfo=UTC))
    assert later.spot == 1.0
    assert float(later.tau[0] * 8760) == pytest.approx(1.0)


def test_a_board_from_instruments_and_tickers(tmp_path: Path) -> None:
    listing = [{"instrument_name": name, "base_currency": "XRP", "strike": 2.5, "option_type": kind,
                "expiration_timestamp": NOW_MS + 86_400_000, "instrument_type": "linear"}
               for name, kind in (("A", "call"), ("B", "put"))]  # fmt: skip
    tickers = [{"result": {"instrument_name": "A", "mark_iv": 80.0, "underlying_price": 2.4, "open_interest": 7.0,
                           "index_price": 2.39, "timestamp": NOW_MS}}, summary("UNLISTED")]  # fmt: skip
    path = tmp_path / "tickers.json"
    path.write_text(json.dumps(tickers))
    sources: tuple[Any, ...] = (tickers, path)
    for source in sources:
        board = dfmon.Board.from_deribit(source, instruments={"result": listing}, currency="XRP")
        assert (board.names, board.spot, board.strike.tolist(), board.inverse.tolist()) == (
            ("A",),
            2.39,
            [2.5],
            [False],
        )
        assert board.tau == pytest.approx(1 / 365)
        assert board.sigma.tolist() == [0.8]
    linear = dfmon.Board.from_deribit([summary("XRP_USDC-27MAR26-2d5-C")])
    assert (linear.strike.tolist(), linear.inverse.tolist()) == ([2.5], [False])


def test_a_board_from_a_recorded_file(tmp_path: Path) -> None:
    header = ("instrument_name,base_currency,option_type,strike,expiration_timestamp,timestamp,mark_iv,"
              "underlying_price,index_price,open_interest\n")  # fmt: skip
    path = tmp_path / "board.csv"
    path.write_text(header + f"BTC-27MAR26-90000-P,BTC,put,90000,{NOW_MS + 864000000},{NOW_MS},50,90000,89500,12\n")
    board = dfmon.Board.from_deribit(path)
    assert (board.names, board.spot, board.open_interest.tolist()) == (("BTC-27MAR26-90000-P",), 89_500.0, [12.0])
    assert board.tau == pytest.approx(10 / 365)
    assert dfmon.Board.from_deribit(str(path), currency="BTC").names == board.names
    with pytest.raises(ValueError, match="currency: 'ETH' is not in the source, which holds BTC"):
        dfmon.Board.from_deribit(path, currency="ETH")


def test_members_give_every_total_a_band() -> None:
    board = small(open_interest=[2.0, 3.0])
    books = board.held("naive")[:, None] * np.linspace(0.0, 2.0, 41)
    found = dfmon.exposures(board, "naive", members=books)
    for name in ("ngi", "vss", "chl", "volg", "vega", "theta", "unwind"):
        total, low, high = (getattr(part, name) for part in (found.totals, found.low, found.high))
        assert sorted((low, high)) == pytest.approx(sorted((0.1 * total, 1.9 * total)))
        assert low <= high
    assert dfmon.exposures(board, "naive").low is None
    with pytest.raises(ValueError, match=r"members: shape \(3, 2\), \(2, M\) is expected"):
        dfmon.exposures(board, "naive", members=np.ones((3, 2)))


def test_results_are_short_when_they_are_looked_at() -> None:
    board = small(sigma=[0.5, np.nan])
    assert repr(board) == "Board(2 options, 1 expiry in 7.3 days, spot 100.00, 1 without forward or volatility)"
    assert repr(small(strike=[], option_type=[])) == "Board(0 options, no expiry, spot 100.00)"
    text = repr(dfmon.exposures(small(), [1.0, -1.0], members=np.ones((2, 3))))
    assert text.startswith("Exposures of 2 options\n  ngi ")
    assert len({line.index("..") for line in text.splitlines()[1:]}) == 1
    assert all(line.count("..") == 1 for line in text.splitlines()[1:])
    assert "1 of them not priced" in repr(dfmon.exposures(board))


def test_a_flip_says_in_words_what_it_is() -> None:
    books = np.array([[-1.0, 1.0], [1.0, 1.0]])
    text = repr(dfmon.flip(small(), members=books))
    assert text.startswith("BoardFlip(flip at 99.25 (up), slope +")
    assert text.endswith("dealers long gamma at spot; band 99.25 .. 99.25, 50% of the members without one)")
    assert "dealers short gamma throughout; nearest to it at " in repr(dfmon.flip(small(), "short-all"))
    text = repr(dfmon.flip(small(), [0.0, 0.0], members=np.zeros((2, 1))))
    assert "dealers without gamma worth the name throughout; 100% of the members without one" in text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            '{"error": {"code": 10028, "message": "too_many_requests"}}',
            "source: it is an error response of the venue: .*too_",
        ),
        ('{"result": []}', "source: it is JSON without rows of options: "),
    ],
)
def test_a_response_without_options_says_what_it_is(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dfmon.Board.from_deribit(source)


def test_a_naive_moment_is_utc_in_every_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        board = dfmon.Board.from_deribit([summary("BTC-27MAR26-90000-P")], at=datetime(2026, 3, 26, 8))  # noqa: DTZ001
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert board.tau == pytest.approx(1 / 365)


@pytest.mark.parametrize("convert", [np.float64, Decimal, str, repr, np.float32])
def test_numbers_of_any_kind_are_numbers(convert: Callable[[Any], object]) -> None:
    row = {k: v if isinstance(v, str) else convert(v) for k, v in summary("BTC-27MAR26-90000-P").items()}
    row["creation_timestamp"] = np.int64(NOW_MS)
    board = dfmon.Board.from_deribit([row])
    assert (board.spot, board.sigma.tolist(), board.open_interest.tolist()) == (89_500.0, [0.5], [10.0])


@pytest.mark.parametrize(("written", "sign"), [("CALL", 1.0), ("Put", -1.0), ("call", 1.0), ("P", -1.0)])
def test_the_type_of_an_option_is_read_in_any_case(written: str, sign: float) -> None:
    listing = [{"instrument_name": "A", "base_currency": "BTC", "strike": 90_000, "option_type": written,
                "expiration_timestamp": NOW_MS + 86_400_000, "instrument_type": "reversed"}]  # fmt: skip
    assert dfmon.Board.from_deribit([summary("A")], instruments=listing).option_type.tolist() == [sign]
    with pytest.raises(ValueError, match="option_type is 'straddle', call or put is expected"):
        dfmon.Board.from_deribit([summary("A")], instruments=[listing[0] | {"option_type": "straddle"}])


def test_a_repeated_option_counts_once_and_the_reading_says_so() -> None:
    rows = [summary("BTC-27MAR26-90000-P", open_interest=n) for n in (1.0, 2.0)]
    board = dfmon.Board.from_deribit(rows)
    assert (board.size, board.open_interest.tolist()) == (1, [2.0])
    assert "1 repeated row replaced by its last" in board.reading
    assert small().reading == ""


def test_a_board_of_any_file(tmp_path: Path) -> None:
    path = tmp_path / "summary.data"
    path.write_text(json.dumps({"result": [summary("BTC-27MAR26-90000-P")]}), encoding="utf-16")
    board = dfmon.Board.from_file(path, at=datetime(2026, 3, 26, 8, tzinfo=UTC))
    assert (board.names, board.spot) == (("BTC-27MAR26-90000-P",), 89_500.0)
    assert board.tau == pytest.approx(1 / 365)
    assert board.reading.startswith("read as a book summary, mark_iv as per cent")


def test_what_is_no_amount_is_counted_and_is_no_zero() -> None:
    """An open interest or a position that is not a number, below zero or infinite."""
    for amount in (math.nan, -5.0, math.inf):
        board = dfmon.Board(
            spot=100.0, strike=[90.0, 100.0], sigma=0.5, tau=0.1, option_type="call", open_interest=[amount, 5.0]
        )
        whole = dfmon.exposures(board)
        assert (whole.invalid, whole.position.tolist()) == (1, [0.0, 5.0])
    given = dfmon.exposures(board, [math.nan, 2.0])
    assert (given.invalid, given.position.tolist()) == (1, [0.0, 2.0])


@pytest.mark.parametrize("words", [["call", "put"], ["C", "P"], ["Call", " put"], np.array(["c", "put"], object)])
def test_option_types_in_words_are_signs(words: Any) -> None:
    found = dfmon.greeks(100.0, [90.0, 110.0], 0.5, 0.1, words)
    assert np.array_equal(found.delta, dfmon.greeks(100.0, [90.0, 110.0], 0.5, 0.1, [1, -1]).delta)
