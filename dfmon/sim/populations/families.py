"""The named families. docs/positions.md has their switches in a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from dfmon.sim.populations.family import ASSUMED_SHARES, AccountSwitches, ClassSwitches, Family, Range

_A: Final = AccountSwitches(
    turn_days=9.0,
    half_life_days=0.0,
    tail=(1.7, 1.7),
    max_size=900.0,
    zipf=0.6,
    clips=0.0,
    burst_sd=0.8,
    burst_memory=0.93,
)
_B: Final = replace(_A, shares=ASSUMED_SHARES, concentration=400.0, turn_days=0.0)
_SHARES_V: Final = {
    **ASSUMED_SHARES,
    "screen": (0.56, 0.18, 0.18, 0.08),
    "combo": (0.55, 0.20, 0.17, 0.08),
    "block": (0.42, 0.28, 0.24, 0.06),
    "rfq": (0.50, 0.24, 0.20, 0.06),
}
_V: Final = replace(
    _A,
    shares=_SHARES_V,
    customers=(25, 130),
    dealers=(3, 15),
    closers=(0.05, 0.30),
    early_closing=(0.0, 0.30),
    tail=(1.4, 3.0),
    unprinted=(0.004, 0.03),
    kind_shares=(0.70, 0.04, 0.03, 0.22, 0.01, 0.0, 0.0),
)
_G: Final = Family(
    accounts=replace(_A, dealers=(2, 9), dealer_reduction=0.8, dealer_scale=30.0, taste_sd=0.5, turn_days=0.0),
    classes=ClassSwitches(
        closing=(0.1, 0.6),
        unprinted=(0.02, 0.10),
        undirected=0.5,
        takers=((0.55, 0.75), (0.05, 0.20)),
    ),
    interest_every_s=30.0,
)
_PARITY: Final = ClassSwitches(
    closing=(0.1, 0.6),
    unprinted=(0.02, 0.10),
    undirected=0.25,
    takers=((0.35, 0.60), (0.25, 0.45)),
)
_SHARES_X: Final = {
    **ASSUMED_SHARES,
    "screen": (0.58, 0.22, 0.08, 0.12),
    "combo": (0.64, 0.16, 0.08, 0.12),
    "block": (0.56, 0.20, 0.16, 0.08),
}
_X: Final = AccountSwitches(
    customers=(90, 90),
    dealers=(26, 26),
    large_dealers=2,
    large_dealer_weight=14.0,
    dealer_scale=40.0,
    dealer_reduction=0.7,
    inventory_skew=0.8,
    closers=(0.25, 0.25),
    early_closing=(0.10, 0.10),
    shares=_SHARES_X,
    concentration=30.0,
    own_sd=1.0,
    kind_shares=(0.72, 0.03, 0.04, 0.195, 0.010, 0.003, 0.002),
    forced_close=True,
    session_swing=0.7,
    weekly_expiries=True,
    in_view=0.2,
    options=200,
    expiry_days=(34.0, 62.0, 97.0, 188.0),
)
_Y: Final = AccountSwitches(
    customers=(12, 12),
    dealers=(5, 5),
    closers=(0.20, 0.20),
    early_closing=(0.25, 0.25),
    concentration=20.0,
    level=0.5,
    by_type=0.25,
    own_sd=0.5,
    turn_days=12.0,
    half_life_days=40.0,
    kind_shares=(0.68, 0.04, 0.03, 0.20, 0.035, 0.010, 0.005),
    clips=0.1,
    zipf=0.6,
    block_factor=8.0,
    forced_close=True,
    unprinted=(0.02, 0.02),
    funds=6,
    in_view=0.3,
    expiry_days=(6.0, 20.0, 41.0, 76.0, 132.0, 223.0),
)
_WIDE: Final = replace(
    _A,
    customers=(8, 130),
    dealers=(2, 60),
    closers=(0.0, 0.4),
    early_closing=(0.0, 0.35),
    tail=(1.4, 3.0),
    unprinted=(0.004, 0.04),
    kind_shares=(0.70, 0.04, 0.03, 0.215, 0.010, 0.003, 0.002),
    forced_close=True,
)
_WIDE_DRAWS: Final[Mapping[str, Range]] = {
    "taste_sd": (0.0, 1.5),
    "dealer_reduction": (0.2, 0.9),
    "dealer_scale": (8.0, 50.0),
    "inventory_skew": (0.0, 1.0),
    "concentration": (8.0, 200.0),
    "swapped": (0.0, 0.6),
    "level": (0.1, 0.6),
    "by_type": (0.1, 0.6),
    "by_moneyness": (0.0, 0.5),
    "by_tenor": (0.0, 0.5),
    "own_sd": (0.3, 1.2),
    "turn_days": (5.0, 40.0),
    "half_life_days": (5.0, 60.0),
    "block_factor": (4.0, 20.0),
    "prints_per_day": (4.0, 16.0),
    "zipf": (0.2, 1.0),
    "clips": (0.0, 0.3),
    "transfer_share": (0.2, 0.8),
    "in_view": (0.0, 0.7),
    "run_in_days": (5.0, 40.0),
}
FAMILIES: Final[Mapping[str, Family]] = MappingProxyType(
    {
        "A": Family(accounts=_A),
        "B": Family(accounts=_B),
        "C": Family(accounts=replace(_A, turn_days=0.0)),
        "D": Family(accounts=replace(_B, early_closing=(0.0, 0.0))),
        "O": Family(classes=ClassSwitches(), interest_every_s=60.0),
        "N": Family(accounts=replace(_A, dealers=(60, 60))),
        "M": Family(accounts=replace(_A, customers=(8, 8), dealers=(60, 60))),
        "V": Family(accounts=_V),
        "H": Family(accounts=_V, interest_every_s=30.0),
        "G": _G,
        "P": Family(classes=_PARITY, interest_every_s=30.0),
        "W": Family(accounts=_WIDE, interest_every_s=5.0, drawn=_WIDE_DRAWS),
        "X": Family(accounts=_X, interest_every_s=5.0, reserved=True),
        "Y": Family(accounts=_Y, interest_every_s=600.0, lost=0.01, reserved=True),
    }
)
