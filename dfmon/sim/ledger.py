"""The true books behind the simulated open interest: who is long and who is short, per option.

Four non-negative numbers per instrument. Their invariant is the exchange's own:
open interest = customer long + dealer long = customer short + dealer short.
Also the day's volume, last, high and low, and the last trade sequence number.
"""

from __future__ import annotations

import numpy as np

from dfmon.sim.surface import FloatArray

CUSTOMER_TAKES, DEALER_TAKES, AMONG_CUSTOMERS, AMONG_DEALERS = range(4)  # who stands behind a print
_BOOKS = 4
_ROWS = 10


class Ledger:
    """Columns of one currency's options, aligned with its board. All amounts in coins."""

    def __init__(self, size: int) -> None:
        self._data: FloatArray = np.zeros((_ROWS, size))
        self._data[6:9] = np.nan
        self._bind()

    def _bind(self) -> None:
        d = self._data
        self.customer_long, self.customer_short, self.dealer_long, self.dealer_short = d[:_BOOKS]
        self.volume, self.volume_usd, self.last, self.high, self.low, self.seq = d[_BOOKS:]

    @property
    def open_interest(self) -> FloatArray:
        """Coins; total longs, which equal total shorts."""
        total: FloatArray = self.customer_long + self.dealer_long
        return total

    @property
    def dealer_position(self) -> FloatArray:
        """Coins, + dealers long: minus the customers' net position."""
        net: FloatArray = self.dealer_long - self.dealer_short
        return net

    def fill(
        self, row: int, side: int, amount: float, taker_closes: bool, maker_closes: bool, who: int = CUSTOMER_TAKES
    ) -> None:
        """The taker takes `side` (+1 buys) from the maker; each first closes what it may, then opens."""
        customers, dealers = self._data[0:2, row], self._data[2:4, row]
        taker = dealers if who in (DEALER_TAKES, AMONG_DEALERS) else customers
        maker = dealers if who in (CUSTOMER_TAKES, AMONG_DEALERS) else customers
        buy = 0 if side > 0 else 1  # the taker's opening book; the maker opens the other one
        _move(taker, opens=buy, closes=1 - buy, amount=amount, closing=taker_closes)
        _move(maker, opens=1 - buy, closes=buy, amount=amount, closing=maker_closes)

    def next_seq(self, row: int) -> int:
        """The trade sequence number of the next print of this instrument."""
        self.seq[row] += 1
        return int(self.seq[row])

    def count(self, row: int, price: float, amount: float, index: float) -> None:
        """Add one print to the day's statistics."""
        self.volume[row] += amount
        self.volume_usd[row] += price * amount * index
        self.last[row] = price
        self.high[row] = np.fmax(self.high[row], price)
        self.low[row] = np.fmin(self.low[row], price)

    def regrouped(self, rows: list[int]) -> Ledger:
        """The ledger after a roll: its rows come from `rows` of this one, -1 starts a fresh row."""
        after = Ledger(len(rows))
        kept = np.array(rows)
        after._data[:, kept >= 0] = self._data[:, kept[kept >= 0]]
        return after


def _move(books: FloatArray, *, opens: int, closes: int, amount: float, closing: bool) -> None:
    part = min(amount, float(books[closes])) if closing else 0.0
    books[closes] -= part
    books[opens] += amount - part
