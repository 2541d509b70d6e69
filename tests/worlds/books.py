"""Order books of the program against those of the exchange, level by level, in a world that is well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dfmon.engine.market import DEPTH_RANGE, LocalBook
from dfmon.model.events import Market
from dfmon.model.units import SECOND
from dfmon.sim.market.ladder import Ladder

if TYPE_CHECKING:
    from tests.worlds.session import SessionRun
    from tests.worlds.world import World

QUIET_S: Final = 30.0  # without a fault, for what was still under way
_FRESH_NS: Final = 3 * SECOND
_STEPS: Final = 6  # of the market: levels that changed in them may not have arrived yet
_SLOW: Final = frozenset({"bandwidth", "latency", "uneven", "overload", "black-hole"})  # their frames arrive late
_KINDS: Final = {"spot": Market.SPOT, "perpetual": Market.PERP}
_CONTRACTS: Final = frozenset({("okx", "perpetual")})  # counted in other units than coins


def check_books(world: World, run: SessionRun) -> None:
    """A book that the program has is that of the exchange."""
    if world.loop.time() - world.quiet_since_s < QUIET_S or any(i.fault in _SLOW for i in world.plan.injections):
        return
    states = run.driver._markets._venues["BTC"]
    for market in world.server.market.currencies["BTC"].hedges:
        spec = market.spec
        venue = spec.venue.partition("-")[0]
        state = states.get((venue, _KINDS[spec.kind]))
        if state is None or spec.contract_usd or world.wall_ns() - state.book_ns > _FRESH_NS:
            continue  # also a book of a market that stands still, after which no change tells of those that were lost
        wrong = book_differences(state.book, market.book, sizes=(venue, spec.kind) not in _CONTRACTS)
        if wrong:
            world.fail(f"the {spec.kind} book of {spec.venue} is wrong at {len(wrong)} prices, {wrong[0]} among them")


def book_differences(known: LocalBook, true: Ladder, sizes: bool) -> list[float]:
    """Prices within the range of depth whose sizes differ, apart from those that have just changed."""
    changes = list(true.change_log)[-_STEPS:]
    wrong = []
    for levels, side, recent in (
        (known.bids.levels, true.bids, {price for change in changes for price in change.bids}),
        (known.asks.levels, true.asks, {price for change in changes for price in change.asks}),
    ):
        tick, mid = true.spec.tick, true.mid
        ours = {round(price / tick): size for price, size in levels.items() if abs(price / mid - 1.0) < DEPTH_RANGE}
        theirs = {price: size for price, size in side.items() if abs(price * tick / mid - 1.0) < DEPTH_RANGE}
        for price in (ours.keys() | theirs.keys()) - recent:
            mine, real = ours.get(price), theirs.get(price)
            if mine is None or real is None or (sizes and abs(mine - real) > 1e-9 * real):
                wrong.append(price * tick)
    return wrong
