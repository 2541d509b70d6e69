"""The score that dfmon keeps of itself since midnight UTC: sign, bands and flow against what followed."""

from __future__ import annotations

import msgspec

NOMINAL: float = 0.9
"""Share of the cases that a 5-95 % band should hold."""


class Coverage(msgspec.Struct, frozen=True):
    """The share of the cases in which a band held what followed; it is None until there are enough cases.

    `name`: "outlook_1h", the outlook of an hour before at the move that came, against the hedge trade measured since;
    "hedge_flow", the measured hedge trade of 15 minutes, against the part of spot that was forecast before it.
    """

    name: str
    share: float | None
    cases: int


class TapeVerdict(msgspec.Struct, frozen=True):
    """Re-hedging as returns by minutes show it, beside the model: + damps moves, - amplifies them.

    `variance_ratio` is that of 5 minutes over 1 minute, below 1 where moves are damped. `coefficient` is the share of a
    minute's return that the next one takes back, with its 5-95 % interval: what psi would be if dealers alone made it.
    `modelled` is the mean psi of the same minutes. `agreement` is the share of the hours with the modelled sign.
    """

    minutes: int = 0
    variance_ratio: float | None = None
    coefficient: float | None = None
    lo: float | None = None
    hi: float | None = None
    modelled: float | None = None
    agreement: float | None = None
    hours: int = 0


class TakerFlow(msgspec.Struct, frozen=True):
    """Net taker flow of spot and perpetuals beside the hedge trade of the same quarters of an hour.

    `same_sign` is the share of the quarters whose flows have one sign, of those whose band leaves out 0.
    """

    quarters: int = 0
    taker_usd: float | None = None
    hedge_usd: float | None = None
    correlation: float | None = None
    same_sign: float | None = None
    decided: int = 0


class Score(msgspec.Struct, frozen=True):
    """The score of one position model since midnight UTC (`since`, empty before the first tick)."""

    since: str = ""
    tape: TapeVerdict = TapeVerdict()
    coverage: tuple[Coverage, ...] = ()
    taker: TakerFlow = TakerFlow()
