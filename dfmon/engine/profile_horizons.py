"""Net gamma against spot at other horizons: of what expires soon, and of the same book at a later time.

Each is a `step` on the board of the tick without the other options, or with the clock moved on, so conventions, bands
and edges mean what they mean live.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from dfmon.core.step import step
from dfmon.engine.what_if import TickInputs, shocked_chain
from dfmon.model.frames import ChainFrame
from dfmon.model.snapshot import Detail
from dfmon.model.tables import Profile
from dfmon.model.units import DAY, HOUR, SECOND
from dfmon.model.what_if import Shock

LATER_HOURS: Final = 48.0


class HorizonProfile(NamedTuple):
    """Net gamma at spot and its edges, USD, at one horizon. `ngi` is None where nothing is left of the book."""

    name: str
    ngi: float | None
    below: float | None
    above: float | None
    profile: Profile


def horizon_profiles(tick: TickInputs) -> tuple[HorizonProfile, ...]:
    """Options that expire within a day and a week; the book after the next expiry, and two days on."""
    boards: dict[str, Callable[[ChainFrame], ChainFrame]] = {
        "today": lambda chain: _expiring_within(chain, DAY),
        "week": lambda chain: _expiring_within(chain, 7 * DAY),
        "after next expiry": _after_next_expiry,
        "+48 h": lambda chain: shocked_chain(chain, Shock(hours=LATER_HOURS), "strike"),
    }
    return tuple(_horizon(name, tick._replace(chain=board(tick.chain))) for name, board in boards.items())


def _expiring_within(chain: ChainFrame, span_ns: int) -> ChainFrame:
    is_later = chain.expiry_ns > chain.venue_ns + span_ns
    return replace(chain, forward=np.where(is_later, np.nan, chain.forward))


def _after_next_expiry(chain: ChainFrame) -> ChainFrame:
    live = chain.expiry_ns[chain.expiry_ns > chain.venue_ns]
    if not live.size:
        return chain
    hours = (int(live.min()) - chain.venue_ns + SECOND) / HOUR
    return shocked_chain(chain, Shock(hours=hours), "strike")


def _horizon(name: str, tick: TickInputs) -> HorizonProfile:
    snapshot = step(*tick)[1]
    detail, regime = snapshot.detail, snapshot.regime
    return HorizonProfile(
        name,
        snapshot.metrics.ngi.value,
        None if regime.below is None else regime.below.level,
        None if regime.above is None else regime.above.level,
        detail.profile if isinstance(detail, Detail) else Profile((), (), None, None),
    )
