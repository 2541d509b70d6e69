"""The venue's greeks beside ours: equal on recorded boards, and every kind of drift is seen."""

import math
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pytest

from dfmon.engine.chain import ChainState
from dfmon.engine.greek_drift import GreekDrift
from dfmon.model.events import Delisted, Greeks, Listed, ListingComplete, OptionTicker
from dfmon.model.instrument import Instrument, Kind, OptionType, Settlement
from dfmon.model.units import DAY, HOUR, MINUTE, NAN
from tests.core.boards import ticker_board

NOW = 1_795_305_600_000_000_000
EXPIRY = NOW + 5 * DAY
REFERENCE_GREEKS = Greeks(
    0.51167, 0.00007, 46.67268
)  # Black-76 by hand: F = K = 100,000, 50 %, 5 days, cut to five decimals


@dataclass(frozen=True)
class TickerRow:
    """One option and what its ticker says."""

    name: str = "BTC-A"
    venue_greeks: Greeks = REFERENCE_GREEKS
    exch_ns: int = NOW
    forward: float = 100_000.0
    mark_iv: float = 0.5

    @property
    def ticker(self) -> OptionTicker:
        return OptionTicker(
            "deribit", self.name, self.exch_ns, mark_iv=self.mark_iv, forward=self.forward, greeks=self.venue_greeks
        )


def drift_of(*rows: TickerRow, drift: GreekDrift | None = None) -> GreekDrift:
    """All rows are calls at 100,000 that expire at `EXPIRY`."""
    drift, count = drift or GreekDrift(), len(rows)
    drift.compare(
        [row.ticker for row in rows],
        np.arange(count),
        np.full(count, 1e5),
        np.full(count, EXPIRY),
        np.ones(count, np.int8),
    )
    return drift


def reference_greeks() -> tuple[float, float, float]:
    v = 0.5 * math.sqrt(5 / 365)
    density = math.exp(-v * v / 8) / math.sqrt(2 * math.pi)
    return 0.5 * math.erfc(-v / 2 / math.sqrt(2)), density / (1e5 * v), 1e3 * density * math.sqrt(5 / 365)


def test_the_greeks_of_this_test_are_black_76() -> None:
    assert (REFERENCE_GREEKS.delta, REFERENCE_GREEKS.gamma, REFERENCE_GREEKS.vega) == pytest.approx(
        reference_greeks(), abs=6e-6
    )


def test_equal_greeks_say_nothing() -> None:
    drift = drift_of(TickerRow())
    assert (drift.counts, drift.status_text()) == ((1, 0), "")


@pytest.mark.parametrize(
    ("greek", "row"),
    [
        ("delta", TickerRow(venue_greeks=Greeks(0.51167 - 0.0292, 0.00007, 46.67268))),  # the premium is taken off
        ("delta", TickerRow(venue_greeks=Greeks(51.167, 0.00007, 46.67268))),
        ("gamma", TickerRow(venue_greeks=Greeks(0.51167, 0.00014, 46.67268))),
        ("vega", TickerRow(venue_greeks=Greeks(0.51167, 0.00007, 4667.268))),
        ("delta", TickerRow(mark_iv=0.005)),  # a fraction taken for percent
        ("delta", TickerRow(exch_ns=NOW // 1_000)),  # milliseconds taken for microseconds
        ("delta", TickerRow(forward=101_000.0)),  # another forward than the venue's
    ],
)
def test_every_drift_is_told_with_an_example(greek: str, row: TickerRow) -> None:
    drift = drift_of(TickerRow("BTC-B"), row)
    assert drift.counts == (2, 1)
    assert f"the venue's greeks of 1 of 2 options are not ours: BTC-A {greek} " in drift.status_text()


@pytest.mark.parametrize(
    "row",
    [
        TickerRow(venue_greeks=Greeks(None, 0.00007, 44.6)),
        TickerRow(forward=NAN),
        TickerRow(mark_iv=NAN),
        TickerRow(
            venue_greeks=Greeks(0.0, 0.0, 0.0), exch_ns=EXPIRY - 10 * MINUTE
        ),  # how it fades there the venue does not say
        TickerRow(exch_ns=EXPIRY + 1),
    ],
)
def test_what_cannot_be_compared_is_not_counted(row: TickerRow) -> None:
    assert drift_of(row).counts == (0, 0)


def test_of_a_flood_some_are_compared_each_minute_and_all_in_turn() -> None:
    names = [f"BTC-{number}" for number in range(1_000)]
    drift, compared_counts = GreekDrift(), []
    for minute in range(5):
        for _ in range(3):
            drift_of(
                *(TickerRow(name, exch_ns=NOW + minute * MINUTE, venue_greeks=REFERENCE_GREEKS) for name in names),
                drift=drift,
            )
        compared_counts.append(drift.counts[0])
    assert compared_counts[0] == 240
    assert compared_counts[-1] == 1_000


def chain() -> ChainState:
    state = ChainState(("BTC",))
    option = Instrument("deribit", "BTC-A", Kind.OPTION, "BTC", Settlement.INVERSE, EXPIRY, 1e5, OptionType.CALL)
    state.apply(Listed(option), NOW)
    state.apply(ListingComplete("deribit", "BTC", frozenset({"BTC-A"})), NOW)
    return state


def test_a_difference_is_withdrawn_when_it_is_gone_and_with_the_option() -> None:
    differing, state = TickerRow(venue_greeks=Greeks(0.4, 0.0, 0.0)), chain()
    for seconds, row, counts in ((0, differing, (1, 1)), (61, TickerRow(), (1, 0)), (122, differing, (1, 1))):
        state.apply(replace(row, exch_ns=NOW + seconds * 10**9).ticker, NOW)
        state.freeze("BTC", NOW)
        assert state.drift.counts == counts
    state.apply(Delisted("deribit", "BTC-A"), NOW)
    assert state.drift.counts == (0, 0)
    expiring = chain()
    expiring.apply(differing.ticker, NOW)
    expiring.freeze("BTC", NOW)
    expiring.freeze("BTC", EXPIRY + HOUR)
    assert expiring.drift.counts == (0, 0)


@pytest.mark.parametrize("day", ["20260114", "20260122"])
def test_on_recorded_boards_nothing_differs(day: str) -> None:
    board, compared_total = ticker_board(day), 0
    tickers = [
        OptionTicker(
            "deribit", row["instrument_name"], int(float(row["timestamp"])) * 10**6, mark_iv=sigma, forward=forward,
            greeks=msgspec.convert(
                {name: float(row[f"greeks_{name}"]) for name in ("delta", "gamma", "vega", "theta")}, Greeks
            ),
        )
        for row, sigma, forward in zip(board.rows, board.sigma.tolist(), board.forward.tolist(), strict=True)
    ]  # fmt: skip
    expiry_ns = (board.expiry_ms * 1e6).astype(np.int64)
    for start in range(0, len(tickers), 200):
        chunk, drift = slice(start, start + 200), GreekDrift()
        rows = np.arange(len(tickers))[chunk]
        drift.compare(
            tickers[chunk], rows, board.strike[chunk], expiry_ns[chunk], board.option_type[chunk].astype(np.int8)
        )
        assert drift.status_text() == ""
        compared_total += drift.counts[0]
    assert compared_total == len(tickers) > 500
