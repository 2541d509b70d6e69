"""Listed contracts. Identity comes from the venue's record, never from parsing its name."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec


class OptionType(IntEnum):
    """The sign used in every formula: +1 call, -1 put."""

    CALL = 1
    PUT = -1


class Kind(StrEnum):
    """Kind of contract."""

    OPTION = "option"
    FUTURE = "future"
    PERPETUAL = "perpetual"
    SPOT = "spot"


class Settlement(StrEnum):
    """Inverse contracts pay coins, linear contracts pay dollars."""

    INVERSE = "inverse"
    LINEAR = "linear"


class Instrument(msgspec.Struct, frozen=True, gc=False):
    """One listed contract.

    `expiry_ns` is 0 for perpetuals and spot; `strike` (USD) and `option_type` are set for options only.
    `contract_size` is coins per contract (USD per contract for inverse futures), for display only, since events
    already carry coins. `listed_ns` is 0 where the venue does not report it.
    """

    venue: str
    name: str
    kind: Kind
    underlying: str
    settlement: Settlement
    expiry_ns: int = 0
    strike: float = 0.0
    option_type: OptionType | None = None
    contract_size: float = 1.0
    price_index: str = ""
    listed_ns: int = 0
