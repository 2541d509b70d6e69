"""The scripts by name."""

from __future__ import annotations

from typing import Final

from dfmon.model.units import HOUR, MINUTE, SECOND
from dfmon.sim.market.script import BookLine, Phase, Script

_CALL, _PUT, _BUY, _SELL = 1, -1, 1, -1

# Tuesday 24 November 2026; the delivery of 08:00 lies within
_START_NS: Final = 1_795_478_400 * SECOND + 6 * HOUR + 5 * MINUTE

_UNWOUND: Final = (  # short gamma is bought back, and volatility carried further out
    BookLine(3, 82_000.0, _CALL, _BUY, 1_400.0, closes=True),
    BookLine(3, 82_000.0, _PUT, _BUY, 1_400.0, closes=True),
    BookLine(31, 92_000.0, _CALL, _SELL, 2_500.0),
    BookLine(31, 74_000.0, _PUT, _BUY, 2_500.0),
)

_CLOSED: Final = (
    BookLine(3, 82_000.0, _CALL, _BUY, 400.0, closes=True),
    BookLine(3, 82_000.0, _PUT, _BUY, 400.0, closes=True),
)

REGIMES: Final = Script(
    name="regimes",
    currency="BTC",
    start_ns=_START_NS,
    speed=50.0,
    volume_scale=0.2,
    depth_scale=1.0,
    history=0.04,
    spot=82_000.0,
    vol=0.46,
    book=(
        BookLine(0, 82_000.0, _CALL, _SELL, 160.0),
        BookLine(0, 82_000.0, _PUT, _SELL, 160.0),
        BookLine(1, 83_500.0, _CALL, _SELL, 2_800.0),
        BookLine(1, 79_500.0, _PUT, _BUY, 3_600.0),
        BookLine(3, 82_000.0, _CALL, _SELL, 1_800.0),
        BookLine(3, 82_000.0, _PUT, _SELL, 1_800.0),
        BookLine(31, 92_000.0, _CALL, _SELL, 1_500.0),
        BookLine(31, 74_000.0, _PUT, _BUY, 1_500.0),
    ),
    phases=(
        Phase("the first hour", 65.0, 82_000.0, 0.46),
        Phase("pinned", 20.0, 82_000.0, 0.455, "PIN"),
        Phase("settlement window", 30.0, 82_050.0, 0.452),
        Phase("damped", 20.0, 82_100.0, 0.45, "DAMP"),
        Phase("drifting", 30.0, 82_100.0, 0.445, "DRIFT", _UNWOUND),
        Phase("to the flip", 15.0, 81_400.0, 0.45),
        Phase("at the flip", 20.0, 81_300.0, 0.45, "FLIP-ZONE"),
        Phase("through the flip", 10.0, 80_600.0, 0.455, "", _CLOSED),
        Phase("squeezed", 20.0, 80_200.0, 0.455, "SQUEEZE"),
        Phase("feeds lost", 5.0, 80_200.0, 0.455, feeds_lost=True),
        Phase("cascading", 20.0, 79_200.0, 0.47, "CASCADE", liquidations=-1_000_000.0),
    ),
)

SCRIPTS: Final = {script.name: script for script in (REGIMES,)}


def find_script(name: str) -> Script:
    """The script of that name. Raises ValueError for another."""
    if name not in SCRIPTS:
        raise ValueError(f"script: found {name!r}, allowed: {', '.join(sorted(SCRIPTS))}")
    return SCRIPTS[name]
