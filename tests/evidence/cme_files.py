"""Small files in the layouts that CME documents; no real file of its options could be had, so these are made up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dfmon.core.pricing.black import black_price
from dfmon.model.units import HOUR, YEAR, nanoseconds

HEADER = (
    "BizDt,Sym,ID,StrkPx,SecTyp,MMY,MatDt,PutCall,Exch,Desc,LastTrdDt,BidPrice,OpeningPrice,SettlePrice,SettleDelta,"
    "HighLimit,LowLimit,DHighPrice,DLowPrice,HighBid,LowBid,PrevDayVol,PrevDayOI,FixingPrice,UndlyExch,UndlyID,"
    "UndlySecTyp,UndlyMMY,BankBusDay"
)
OLDER_HEADER = (
    "PRODUCT SYMBOL,CONTRACT MONTH,CONTRACT YEAR,CONTRACT DAY,PUT/CALL,STRIKE,CONTRACT,PRODUCT DESCRIPTION,OPEN,HIGH,"
    "HIGH AB INDICATOR,LOW,LOW AB INDICATOR,LAST,LAST AB INDICATOR,SETTLE,PT CHG,EST. VOL,PRIOR SETTLE,PRIOR VOL,"
    "PRIOR INT,TRADEDATE"
)
BOARD_HEADER = (
    "timestamp,instrument_name,currency,option_type,strike,expiry_datetime,implied_volatility,underlying,index_price,"
    "open_interest,mark_price"
)
SETTLED_NS = nanoseconds(np.datetime64("2026-01-22T21:00").astype(object))  # 15:00 in Chicago, in winter
EXPIRY_NS = nanoseconds(np.datetime64("2026-01-30T16:00").astype(object))  # 16:00 in London, in winter
TAU = (EXPIRY_NS - SETTLED_NS) / YEAR


class Option(NamedTuple):
    product: str
    strike: float
    sign: int
    contracts: int
    sigma: float = 0.5
    forward: float = 90_000.0

    @property
    def premium(self) -> float:
        one = np.ones(1)
        sd = self.sigma * np.sqrt(TAU)
        return float(black_price(self.forward * one, self.strike * one, sd * one, self.sign * one)[0])


OPTIONS = [
    Option(product, strike, sign, contracts)
    for product, contracts in (("BTC", 40), ("MBT", 300))
    for strike in (80_000.0, 85_000.0, 90_000.0, 95_000.0, 100_000.0)
    for sign in (1, -1)
]


def settlements(options: Sequence[Option] = OPTIONS, day: str = "2026-01-22") -> list[str]:
    """Lines of the end-of-day settlements: a header, the futures, the options."""

    def line(**cells: object) -> str:
        return ",".join(f'"{cells.get(name, "")}"' for name in HEADER.split(","))

    lines = [HEADER]
    for product in sorted({option.product for option in options}):
        forward = next(option.forward for option in options if option.product == product)
        lines.append(line(BizDt=day, Sym=product, ID=product, SecTyp="FUT", MMY="202601", SettlePrice=forward))
    for o in options:
        lines.append(
            line(
                BizDt=day, Sym=o.product, ID=o.product, StrkPx=o.strike, SecTyp="OOF", MMY="202601", MatDt="2026-01-30",
                PutCall=1 if o.sign > 0 else 0, Exch="CME", SettlePrice=repr(o.premium), PrevDayOI=o.contracts,
                UndlyID=o.product, UndlySecTyp="FUT", UndlyMMY="202601",
            )
        )  # fmt: skip
    return lines


def older_table(options: Sequence[Option] = OPTIONS) -> list[str]:
    """Lines of the table of settlement, volume and open interest; the expiry is the last Friday of the month."""
    names = OLDER_HEADER.split(",")

    def line(cells: dict[str, object]) -> str:
        return ",".join(str(cells.get(name, "")) for name in names)

    month = {"CONTRACT MONTH": "01", "CONTRACT YEAR": "2026", "TRADEDATE": "01/22/2026"}
    lines = [OLDER_HEADER]
    for product in sorted({option.product for option in options}):
        forward = next(option.forward for option in options if option.product == product)
        lines.append(line({**month, "PRODUCT SYMBOL": product, "SETTLE": forward}))
    for o in options:
        cells = {"PRODUCT SYMBOL": o.product, "PUT/CALL": "C" if o.sign > 0 else "P", "STRIKE": o.strike}
        lines.append(line({**month, **cells, "SETTLE": repr(o.premium), "PRIOR INT": o.contracts}))
    return lines


def written(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def deribit_board(path: Path, ts: str = "2026-01-22T20:00:00+00:00") -> Path:
    """The same strikes and volatilities on the other venue, a hundred coins each."""
    lines = [BOARD_HEADER]
    hours = TAU * YEAR / HOUR - 7.0  # expires at 08:00 and is an hour older
    for o in OPTIONS[:10]:
        letter, word = ("C", "call") if o.sign > 0 else ("P", "put")
        sd, one = o.sigma * np.sqrt(hours * HOUR / YEAR), np.ones(1)
        mark = float(black_price(9e4 * one, o.strike * one, sd * one, o.sign * one)[0]) / 9e4
        lines.append(
            f"{ts},BTC-30JAN26-{o.strike:.0f}-{letter},BTC,{word},{o.strike:.0f},2026-01-30T08:00:00+00:00,{o.sigma},"
            f"90000,90000,100,{mark:.6f}"
        )
    return written(path, lines)
