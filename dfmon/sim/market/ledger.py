"""The true books behind the simulated open interest: longs and shorts of customers and dealers, per option.

Four non-negative numbers per instrument. Their invariant is the exchange's own:
open interest = customer long + dealer long = customer short + dealer short.
Dealers are several desks, each with a long and a short book of its own; the dealers' two numbers are their sums.
Also the day's volume, last, high and low, and the last trade sequence number.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dfmon.sim.market.surface import FloatArray

CUSTOMER_TAKES, DEALER_TAKES, AMONG_CUSTOMERS, AMONG_DEALERS = range(4)  # customer or dealer, of taker and maker
DESKS: Final = (0.50, 0.35, 0.15)  # shares of the dealers' business: fast hedgers, banded ones, those who do not hedge
NETTED_SHARE: Final = 0.3  # share of what can be netted that is
PASSED_SHARE: Final = 0.3  # share of a book that passes to another party
_BOOK_ROWS: Final = 2 + 2 * len(DESKS)  # longs and shorts of the customers and of each desk
_ROW_COUNT: Final = _BOOK_ROWS + 6


class Ledger:
    """Columns of one currency's options, aligned with its board. All amounts in coins."""

    def __init__(self, size: int) -> None:
        self._data: FloatArray = np.zeros((_ROW_COUNT, size))
        self._data[_BOOK_ROWS + 2 : _BOOK_ROWS + 5] = np.nan
        self._bind_columns()

    def _bind_columns(self) -> None:
        d = self._data
        self.customer_long, self.customer_short = d[:2]
        self.desk_long, self.desk_short = d[2:_BOOK_ROWS:2], d[3:_BOOK_ROWS:2]  # (desks, options)
        self.volume, self.volume_usd, self.last, self.high, self.low, self.seq = d[_BOOK_ROWS:]

    @property
    def dealer_long(self) -> FloatArray:
        """Coins; what all desks are long."""
        total: FloatArray = self.desk_long.sum(axis=0)
        return total

    @property
    def dealer_short(self) -> FloatArray:
        """Coins; what all desks are short."""
        total: FloatArray = self.desk_short.sum(axis=0)
        return total

    @property
    def open_interest(self) -> FloatArray:
        """Coins; total longs, which equal total shorts."""
        total: FloatArray = self.customer_long + self.dealer_long
        return total

    def open_interest_of(self, row: int) -> float:
        """Coins; the open interest of one option."""
        return float(self.customer_long[row] + sum(self.desk_long[:, row].tolist()))

    @property
    def dealer_position(self) -> FloatArray:
        """Coins, + dealers long: minus the customers' net position."""
        net: FloatArray = self.dealer_long - self.dealer_short
        return net

    def apply_trade(
        self,
        row: int,
        side: int,
        amount: float,
        taker_closes: bool,
        maker_closes: bool,
        party_class: int = CUSTOMER_TAKES,
        desks: tuple[int, int] = (0, 1),
    ) -> None:
        """The taker takes `side` (+1 buys) from the maker; each first closes what it may, then opens.

        A dealer who takes is the first of `desks`, one who makes the second.
        """
        taker = self._party_books(row, desks[0] if party_class in (DEALER_TAKES, AMONG_DEALERS) else None)
        maker = self._party_books(row, desks[1] if party_class in (CUSTOMER_TAKES, AMONG_DEALERS) else None)
        opening_book = 0 if side > 0 else 1  # the taker's opening book; the maker opens the other one
        _trade_books(taker, opens=opening_book, closes=1 - opening_book, amount=amount, closes_first=taker_closes)
        _trade_books(maker, opens=1 - opening_book, closes=opening_book, amount=amount, closes_first=maker_closes)

    def move_without_print(self, rng: np.random.Generator) -> None:
        """Nets the customers' longs and shorts in an option (open interest falls), or passes a position to or from a
        desk (it stays).
        """
        row = int(rng.integers(self.seq.size))
        if rng.random() < 0.5:
            coins = NETTED_SHARE * min(self.customer_long[row], self.customer_short[row])
            self._data[:2, row] -= coins
            return
        customers, desk = self._party_books(row, None), self._party_books(row, int(rng.integers(len(DESKS))))
        sender, receiver = (customers, desk) if rng.random() < 0.5 else (desk, customers)
        book = int(rng.integers(2))  # longs or shorts
        coins = PASSED_SHARE * sender[book]
        sender[book] -= coins
        receiver[book] += coins

    def _party_books(self, row: int, desk: int | None) -> FloatArray:
        """Longs and shorts of the customers, or of a desk."""
        first = 0 if desk is None else 2 + 2 * desk
        return self._data[first : first + 2, row]

    def next_seq(self, row: int) -> int:
        """The trade sequence number of the next print of this instrument."""
        self.seq[row] += 1
        return int(self.seq[row])

    def update_day_stats(self, row: int, price: float, amount: float, index: float) -> None:
        """Adds one print to the day's statistics."""
        self.volume[row] += amount
        self.volume_usd[row] += price * amount * index
        self.last[row] = price
        self.high[row] = np.fmax(self.high[row], price)
        self.low[row] = np.fmin(self.low[row], price)

    def reindexed(self, rows: list[int]) -> Ledger:
        """The ledger after a roll: its rows come from `rows` of this one, -1 starts a fresh row."""
        reindexed_ledger = Ledger(len(rows))
        source_rows = np.array(rows)
        reindexed_ledger._data[:, source_rows >= 0] = self._data[:, source_rows[source_rows >= 0]]
        return reindexed_ledger


def _trade_books(books: FloatArray, *, opens: int, closes: int, amount: float, closes_first: bool) -> None:
    closed_amount = min(amount, float(books[closes])) if closes_first else 0.0
    books[closes] -= closed_amount
    books[opens] += amount - closed_amount
