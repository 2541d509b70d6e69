"""Faults of real sockets, and the state afterwards against that of a session on the same exchange without them.

Faults that do not need a socket (edited frames, refusals of the exchange, clocks, disks) are those of `tests/worlds`.

`LINK_FAULTS` states for each fault within how many venue seconds after its end both sessions know the same: prints of
every instrument, marks, quotes, open interest, forwards, books and listings. What is polled bounds it from below: book
summaries every 4 s here, Binance's open interest every 15 s. Trades of Binance and OKX during an outage are not
requested afterwards and therefore not compared.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from dfmon.model.units import SECOND
from dfmon.sim.faults import CloseConnection
from dfmon.sim.server import SimServer
from dfmon.venues.health.socket_watchdog import is_heartbeat
from dfmon.venues.registry import VENUES
from tests.fault.paired_sessions import SOURCES, Pair, two_sessions
from tests.fault.virtual_time import in_virtual_time

pytestmark = pytest.mark.slow

Fault = Callable[[Pair], Awaitable[None]]
HEARTBEATS: Final = tuple(text for spec in VENUES for text in spec.heartbeats)


async def bandwidth(pair: Pair) -> None:
    """A line that cannot carry what the venues say, so that they wait for us."""
    pair.set_links(bytes_per_s=5_000.0)
    await pair.market_time(12.0)
    pair.set_links(bytes_per_s=0.0)


async def slices(pair: Pair) -> None:
    """Frames in crumbs, cut inside headers and characters."""
    pair.set_links(slice_bytes=37)
    await pair.market_time(12.0)
    pair.set_links(slice_bytes=0)


async def reset(pair: Pair) -> None:
    """RST on every connection at once."""
    pair.reset()


async def half_close(pair: Pair) -> None:
    """FIN from the venue, which still listens."""
    for proxy in pair.proxies.values():
        proxy.half_close()


async def refusal(pair: Pair) -> None:
    """Nobody answers for ten seconds."""
    pair.set_links(refuse=True)
    pair.reset()
    await pair.market_time(10.0)
    pair.set_links(refuse=False)


async def black_hole(pair: Pair) -> None:
    """Connections stay open and carry nothing, neither data nor pings."""
    lost = len(pair.faulted.lost)
    pair.set_links(stalled=True)
    await pair.until(lambda: len(pair.faulted.lost) >= lost + len(pair.proxies))
    pair.set_links(stalled=False)


async def silence(pair: Pair) -> None:
    """Pings, heartbeats and acknowledgements go on; data has stopped on every connection that is open."""
    lost = len(pair.faulted.lost)
    for proxy in pair.proxies.values():
        proxy.edit_existing(lambda frame: [frame] if is_heartbeat(frame, HEARTBEATS) else [])
    await pair.until(lambda: len({source for source, _ in pair.faulted.lost[lost:]}) == len(SOURCES))


async def lost_prints(pair: Pair) -> None:
    """Prints of three options are lost on the wire, and the next ones of these tell it by their `trade_seq`.

    Ends when the venue has been asked for the numbers that are missing.
    """
    seen, lost, requested = set[str](), dict[str, int](), set[str]()
    driver = pair.faulted.driver
    forward = driver.response

    def response(source: str, recv_ns: int, tag: str, body: bytes) -> None:
        kind, *args = tag.split(":")
        if kind == "gap" and lost.get(args[1]) == int(args[2]):
            requested.add(args[1])
        forward(source, recv_ns, tag, body)

    def edit(frame: bytes) -> list[bytes]:
        if b'"channel":"trades.option.' not in frame:
            return [frame]
        message = json.loads(frame)
        rows, remaining = message["params"]["data"], []
        for row in rows:
            name = row["instrument_name"]
            if name in seen and name not in lost and len(lost) < 3:
                lost[name] = row["trade_seq"]
            else:
                remaining.append(row)
            seen.add(name)
        message["params"]["data"] = remaining
        return [frame] if len(remaining) == len(rows) else [json.dumps(message, separators=(",", ":")).encode()]

    driver.response = response  # type: ignore[method-assign]
    pair.set_links(edit=edit)
    await pair.until(lambda: len(requested) == 3)
    pair.set_links(edit=None)
    del driver.response


async def rest_status(pair: Pair, status: int) -> None:
    """Reconnecting while REST refuses to answer."""
    pair.set_links(http_status=status)
    pair.reset()
    await pair.market_time(10.0)
    pair.set_links(http_status=0)


async def dns_failure(pair: Pair) -> None:
    """The resolver fails while every connection has to be made anew."""
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo

    async def fail(host: Any, *rest: Any, **more: Any) -> Any:
        if host in ("localhost", b"localhost"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return await resolve(host, *rest, **more)

    loop.getaddrinfo = fail  # type: ignore[method-assign]
    pair.reset()
    await pair.market_time(10.0)
    del loop.getaddrinfo


# fault -> what it does, and the venue seconds within which it heals
LINK_FAULTS: Final[dict[str, tuple[Fault, float]]] = {
    "bandwidth": (bandwidth, 60.0),
    "slices": (slices, 60.0),
    "lost prints": (lost_prints, 60.0),
    "reset": (reset, 120.0),
    "half-close": (half_close, 120.0),
    "refusal": (refusal, 120.0),
    "black hole": (black_hole, 120.0),
    "silence with pings alive": (silence, 120.0),
    "REST 429": (lambda pair: rest_status(pair, 429), 120.0),
    "no DNS": (dns_failure, 120.0),
}


async def closed(pair: Pair, code: int) -> None:
    """The venue ends every connection."""
    lost = len(pair.faulted.lost)
    pair.server.faults.close = CloseConnection(code, "because")
    await pair.until(lambda: len({source for source, _ in pair.faulted.lost[lost:]}) == len(SOURCES))


async def shutdown_notices(pair: Pair) -> None:
    """Each venue announces that it will close, and OKX does."""
    pair.server.faults.shutdown = True
    await pair.market_time(70.0)


async def roll(pair: Pair) -> None:
    """The nearest series is delivered and a strike is listed, while we watch."""
    pair.server.faults.roll = pair.server.faults.list_strike = True
    await pair.until(lambda: not pair.server.faults.roll)


EXCHANGE_FAULTS: Final[dict[str, tuple[Fault, float]]] = {
    "dropped": (lambda pair: closed(pair, 1006), 120.0),
    "shutdown notices": (shutdown_notices, 120.0),
    "roll": (roll, 120.0),
}


async def time_to_heal(pair: Pair) -> float:
    """Venue seconds from now until both sessions know the same; the market goes on for the first four."""
    start_ns = pair.server.clock()
    await pair.market_time(4.0)
    await pair.wait_until_equal()
    return (pair.server.clock() - start_ns) / SECOND


@pytest.mark.parametrize("name", LINK_FAULTS)
@in_virtual_time
async def test_state_is_that_of_a_session_without_the_fault(name: str) -> None:
    fault, heals_s = LINK_FAULTS[name]
    async with two_sessions() as pair:
        await fault(pair)
        healed_s = await time_to_heal(pair)
    print(f"{name}: {healed_s:.1f} of {heals_s:g} venue seconds")
    assert healed_s <= heals_s


@pytest.mark.parametrize("name", EXCHANGE_FAULTS)
@in_virtual_time
async def test_state_is_that_of_a_session_that_began_afterwards(name: str) -> None:
    fault, heals_s = EXCHANGE_FAULTS[name]
    async with two_sessions() as pair:
        await fault(pair)
        pair.restart_clean_session()
        healed_s = await time_to_heal(pair)
    print(f"{name}: {healed_s:.1f} of {heals_s:g} venue seconds")
    assert healed_s <= heals_s


@pytest.mark.parametrize("ahead_s", [-2.0, 2.0])
@in_virtual_time
async def test_a_wrong_clock_of_ours_changes_nothing_we_know(ahead_s: float) -> None:
    def skewed(server: SimServer) -> Callable[[], int]:
        return lambda: server.clock() + int(ahead_s * SECOND)

    async with two_sessions(clock=skewed) as pair:
        await pair.market_time(12.0)
        assert await time_to_heal(pair) <= 60.0
