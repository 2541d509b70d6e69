"""Every change of the books of a simulated market, whether it left a print or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

START_MS: Final = 1_770_000_000_000
DAY_MS: Final = 86_400_000
SPOT: Final = 100_000.0
UNPRINTED: Final = -1
EXPIRED: Final = -2


@dataclass(frozen=True, slots=True)
class Listing:
    """n options. `expiry_days` and `listed_days` count from the start of the watch; `option_type` is +1 for calls."""

    strike: F64
    expiry_days: F64
    option_type: F64
    listed_days: F64

    @property
    def names(self) -> list[str]:
        """Unique names in the manner of a venue: SIM, row, strike, type."""
        rows = zip(self.strike.tolist(), self.option_type.tolist(), strict=True)
        return [f"SIM-{i:04d}-{strike:.0f}-{'C' if sign > 0 else 'P'}" for i, (strike, sign) in enumerate(rows)]


@dataclass(frozen=True, slots=True)
class MarketHistory:
    """k changes of the books in time order.

    `time_ms` since the start of the watch, negative before. `kind` is a row of KINDS, UNPRINTED or EXPIRED; `side` of
    the taker. `open_interest` and `customer_net` (coins) are those of the option right after the change. `buyer` and
    `seller` are accounts, customers first; -1 in a market of classes. `customers` is the number of customers' accounts.
    """

    listing: Listing
    time_ms: I64
    option: I64
    side: I64
    amount: F64
    kind: I64
    event: I64
    open_interest: F64
    customer_net: F64
    buyer: I64
    seller: I64
    customers: int

    def state_at(self, time_ms: float, column: F64) -> F64:
        """`column` (open interest or customers' net) of every option at a time, its changes included."""
        out = np.zeros(self.listing.strike.size)
        end = int(np.searchsorted(self.time_ms, time_ms, side="right"))
        out[self.option[:end]] = column[:end]  # the last of repeated rows wins
        return out
