"""Every fault of a world: a row of a table with a name. `docs/reliability.md` explains how to add one.

A fault begins by setting something of the world and returns what ends it, or None for what happens once. A fault of a
line strikes the lines of one host, or of all; `count` says that it has had an effect.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dfmon.model.units import SECOND
from dfmon.sim.faults import CloseConnection
from dfmon.venues.health.socket_watchdog import is_heartbeat
from dfmon.venues.registry import VENUES
from tests.worlds.network import Line
from tests.worlds.user import use_screen

if TYPE_CHECKING:
    from tests.worlds.world import World

HOSTS: Final = ("deribit", "binance.spot", "binance.futures", "okx")
_HEARTBEATS: Final = tuple(text for spec in VENUES for text in spec.heartbeats)

End = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Strike:
    """One injection of a fault: the world, the lines that it is about, and random numbers of its own."""

    world: World
    lines: Sequence[Line]
    rng: random.Random

    def count(self) -> None:
        """The fault has had an effect."""
        self.world.effects += 1

    def set_lines(self, **values: Any) -> End:
        """Sets fields of the lines; the result sets them back."""
        ends = [line.layers.push(**values) for line in self.lines]
        return lambda: [end() for end in ends]

    def set_exchange(self, **values: Any) -> End:
        """Sets fields of the exchange's own faults; the result sets them back."""
        self.count()
        return self.world.exchange_layers.push(**values)

    def set_once(self, **values: Any) -> None:
        """Sets fields of the exchange's faults that it takes back itself."""
        self.count()
        for name, value in values.items():
            setattr(self.world.server.faults, name, value)


@dataclass(frozen=True, slots=True)
class Fault:
    """How a fault begins, and the shortest and longest time until it ends."""

    begin: Callable[[Strike], End | None]
    seconds: tuple[float, float] = (5.0, 90.0)


# ---- lines ---------------------------------------------------------------------------------------------------------


def _reset(strike: Strike) -> None:
    for line in strike.lines:
        for connection in list(line.connections.values()):
            if not connection.client.lost:
                strike.count()
                connection.reset()


def _half_close(strike: Strike) -> None:
    for line in strike.lines:
        for connection in list(line.connections.values()):
            if not connection.client.lost:
                strike.count()
                connection.half_close()


def _refused(strike: Strike) -> End:
    _reset(strike)
    return strike.set_lines(refused=True)


def _unresolved(strike: Strike) -> End:
    _reset(strike)
    return strike.set_lines(unresolved=True)


def _refused_handshakes(strike: Strike) -> End:
    """Connections are broken, and the answers to new ones are none that a websocket begins with."""
    status = strike.rng.choice(
        ("401 No", "403 No", "429 Slow Down", "503 Busy", "302 Found", "101 Switching Protocols")
    )
    answer = strike.rng.choice(
        (f"HTTP/1.1 {status}\r\nLocation: /\r\nContent-Length: 0\r\n\r\n".encode(), b"\x15\x03", b"")
    )
    _reset(strike)
    return strike.set_lines(handshake=answer)


def _slices(strike: Strike) -> End:
    return strike.set_lines(slice_bytes=strike.rng.choice((7, 37, 401, 1500)))


def _latency(strike: Strike) -> End:
    strike.count()
    return strike.set_lines(latency_s=strike.rng.uniform(0.05, 3.0), jitter_s=strike.rng.uniform(0.0, 2.0))


def _uneven(strike: Strike) -> End:
    """Each connection has a latency of its own, so that one overtakes another."""
    strike.count()
    return strike.set_lines(spread_s=strike.rng.choice((0.3, 2.0, 8.0)))


def _bandwidth(strike: Strike) -> End:
    strike.count()
    return strike.set_lines(bytes_per_s=strike.rng.choice((3_000.0, 10_000.0, 40_000.0)))


def _no_data(strike: Strike) -> End:
    """Pings, heartbeats and acknowledgements go on."""
    return strike.set_lines(edit=lambda frame: [frame] if is_heartbeat(frame, _HEARTBEATS) else [])


def _duplicates(strike: Strike) -> End:
    rng = strike.rng
    return strike.set_lines(edit=lambda frame: [frame] * (2 if rng.random() < 0.5 else 1))


def _reordering(strike: Strike) -> End:
    """Neighbouring frames of a line change places."""
    pending: list[bytes] = []

    def edit(frame: bytes) -> list[bytes]:
        if pending:
            return [frame, pending.pop()]
        pending.append(frame)
        return []

    return strike.set_lines(edit=edit)


def _lost_frames(strike: Strike) -> End:
    rng = strike.rng
    return strike.set_lines(edit=lambda frame: [] if rng.random() < 0.05 else [frame])


def _garbage(strike: Strike) -> End:
    rng = strike.rng

    def edit(frame: bytes) -> list[bytes]:
        if rng.random() < 0.7:
            return [frame]
        noise = (
            rng.randbytes(rng.randrange(1, 200)).decode("latin-1").encode(),
            frame[: rng.randrange(len(frame))].decode(errors="ignore").encode(),
            b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"trades.option.BTC.100ms","data":[{}]}}',
            b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","U":"x"}}',
            b'{"arg":{"channel":"books","instId":"BTC-USDT"},"data":null}',
            b"[[[[[[" * 300,
        )
        return [rng.choice(noise), frame]

    return strike.set_lines(edit=edit)


def _odd_values(strike: Strike) -> End:
    """Legal values that no one expects: huge and falling ids, empty sides, fields that appear."""
    rng = strike.rng

    def edit(frame: bytes) -> list[bytes]:
        if rng.random() < 0.8:
            return [frame]
        try:
            message = json.loads(frame)
        except ValueError:
            return [frame]
        _make_odd(message, rng)
        return [json.dumps(message, separators=(",", ":")).encode()]

    return strike.set_lines(edit=edit)


_MILLISECONDS: Final = re.compile(
    rb"\b179\d{10}\b"
)  # the times of a world; Deribit's of books and marks are among them
_ODD_FIELDS: Final = {
    "best_bid_price": (0.0, None), "best_ask_price": (0.0, None), "bid_iv": (0.0, None), "ask_iv": (500.0, 0.0),
    "mark_iv": (0.0, 999.0), "trade_id": (2**63, "x-1"), "a": (2**62,), "seqId": (-1, 2**60, 3), "prevSeqId": (-1, 7),
    "u": (2**53, 5), "U": (2**53, 5), "pu": (2**53, 0), "change_id": (2**60, 3), "funding_8h": (None, 0.0),
    "open_interest": (0.0, 1e15), "amount": (0.0, 1e12), "index_price": (None,), "timestamp": (0, 2**52),
}  # fmt: skip


def _make_odd(message: Any, rng: random.Random) -> None:
    rows = list(_objects(message))
    row = rng.choice(rows)
    keys = [key for key in row if key in _ODD_FIELDS]
    if keys:
        key = rng.choice(keys)
        row[key] = rng.choice(_ODD_FIELDS[key])
    else:
        row["a_new_field"] = rng.choice(([], {}, None, "\x1b[31m", 2**70))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


def _slow_answers(strike: Strike) -> End:
    wait_s = strike.rng.choice((3.0, 8.0, 15.0))
    return strike.set_lines(body=lambda data: [(wait_s, data)])


def _endless_answers(strike: Strike) -> End:
    """A response that goes on, a byte every few seconds, and never ends."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n["
    return strike.set_lines(body=lambda data: [(0.0, head), *((5.0, b" ") for _ in range(40))] if data else [])


def _broken_answers(strike: Strike) -> End:
    rng = strike.rng

    def cut(data: bytes) -> list[tuple[float, bytes]]:
        return [(0.0, data[: rng.randrange(1, len(data))] + rng.randbytes(5)), (0.0, b"")]

    return strike.set_lines(body=cut)


# ---- the exchange --------------------------------------------------------------------------------------------------


def _close(strike: Strike) -> None:
    strike.set_once(close=CloseConnection(strike.rng.choice((1000, 1001, 1006, 1012, 4000)), "because"))


def _mute(strike: Strike) -> End:
    channels = ("deribit_price_index", "markprice", "ticker", "trades", "book", "btcusdt@", "", "books", "funding")
    return strike.set_exchange(mute=(strike.rng.choice(channels),))


def _refused_channels(strike: Strike) -> End:
    """New subscriptions are not granted, after the connections were closed."""
    restore = strike.set_exchange(refuse=(strike.rng.choice(("deribit_price_index", "markprice", "trades", "books")),))
    strike.set_once(close=CloseConnection(1001))
    return restore


def _rest_status(strike: Strike) -> End:
    status = strike.rng.choice((429, 418, 503, 500, 403, 204))
    return strike.set_exchange(rest_status=status, rest_retry_s=strike.rng.choice((1.0, 20.0)))


def _once(**values: Any) -> Callable[[Strike], None]:
    def begin(strike: Strike) -> None:
        strike.set_once(**values)

    return begin


def _maintenance(strike: Strike) -> End:
    return strike.set_exchange(maintenance=True)


def _venue_clock(strike: Strike) -> End:
    return strike.set_exchange(skew_s=strike.rng.choice((-90.0, -3.0, -0.4, 0.4, 3.0, 90.0)))


def _venue_drift(strike: Strike) -> End:
    strike.count()
    return strike.world.drift_venues(strike.rng.choice((-0.02, -0.002, 0.002, 0.02)))


def _clocks_disagree(strike: Strike) -> End:
    """The times of one host are others than those of the rest."""
    shift_ms = strike.rng.choice((-60_000, -2_000, -300, 300, 2_000, 60_000))

    def edit(frame: bytes) -> list[bytes]:
        return [_MILLISECONDS.sub(lambda found: str(int(found.group()) + shift_ms).encode(), frame)]

    return strike.set_lines(edit=edit)


# ---- this machine --------------------------------------------------------------------------------------------------


def _wall_step(strike: Strike) -> End:
    world, step_ns = strike.world, int(strike.rng.choice((-3600.0, -30.0, -2.0, 2.0, 30.0, 3600.0)) * SECOND)
    world.step_clock(step_ns)
    strike.count()
    return lambda: world.step_clock(-step_ns)


def _wall_drift(strike: Strike) -> End:
    strike.count()
    return strike.world.drift(strike.rng.choice((-0.02, -0.001, 0.001, 0.02)))


def _overload(strike: Strike) -> End:
    """A processor so slow that frames arrive faster than they are applied."""
    world = strike.world
    return world.layers.push(read_cost_s=strike.rng.choice((0.0005, 0.002, 0.006)))


def _slow_steps(strike: Strike) -> End:
    """Snapshots take up to half a minute to compute."""
    strike.count()
    return strike.world.layers.push(slowness=strike.rng.choice((50.0, 200.0)))


def _kill(strike: Strike) -> None:
    strike.count()
    strike.world.kill(steps=strike.rng.randrange(1, 400), down_s=strike.rng.choice((0.1, 2.0, 20.0)))


def _stop(strike: Strike) -> None:
    strike.count()
    strike.world.restart()


def _disk(kind: str) -> Callable[[Strike], End]:
    def begin(strike: Strike) -> End:
        return strike.world.disk.begin(kind)

    return begin


def _bit_flip(strike: Strike) -> None:
    """A bit of a file is flipped while nobody is looking: the program is killed, and started again."""
    strike.world.kill(steps=strike.rng.randrange(1, 50), down_s=1.0, flips=strike.rng.randrange(1, 4))
    strike.count()


def _requests(strike: Strike) -> None:
    for _ in range(strike.rng.randint(1, 4)):
        strike.world.request_positions(strike.rng.choice(("flow", "naive", "short-all")))
        strike.count()


def _keys(strike: Strike) -> End:
    """A user presses keys, types commands and changes the position model."""
    return strike.world.run_beside(use_screen(strike.world, strike.rng))


# ---- outputs -------------------------------------------------------------------------------------------------------


def _redis_line(**values: Any) -> Callable[[Strike], End]:
    def begin(strike: Strike) -> End:
        line = strike.world.redis_line
        return Strike(strike.world, (line,), strike.rng).set_lines(**values)

    return begin


def _redis_away(strike: Strike) -> End:
    lines = Strike(strike.world, (strike.world.redis_line,), strike.rng)
    _reset(lines)
    return lines.set_lines(refused=True)


def _redis_refuses(strike: Strike) -> End:
    refusal = strike.rng.choice((b"OOM command not allowed when used memory > 'maxmemory'.", b"LOADING busy"))
    strike.count()
    return strike.world.redis_layers.push(refusal=refusal)


def _redis_screens(strike: Strike) -> End:
    """Screens elsewhere, for which the tables are published too."""
    strike.count()
    return strike.world.redis_layers.push(screens=strike.rng.randint(1, 3))


def _readers(strike: Strike) -> End:
    """Readers of the REST service that ask, stall in the middle of a response, and vanish."""
    return strike.world.start_readers(strike.rng.randint(1, 6))


FAULTS: Final[dict[str, Fault]] = {
    "reset": Fault(_reset),
    "half-close": Fault(_half_close),
    "black-hole": Fault(lambda strike: strike.set_lines(silent=True)),
    "no-data": Fault(_no_data),
    "refused": Fault(_refused),
    "no-dns": Fault(_unresolved),
    "latency": Fault(_latency),
    "bandwidth": Fault(_bandwidth),
    "uneven": Fault(_uneven),
    "refused-handshakes": Fault(_refused_handshakes),
    "slices": Fault(_slices),
    "duplicates": Fault(_duplicates),
    "reordering": Fault(_reordering),
    "lost-frames": Fault(_lost_frames),
    "garbage": Fault(_garbage),
    "odd-values": Fault(_odd_values),
    "slow-rest": Fault(_slow_answers),
    "endless-rest": Fault(_endless_answers),
    "broken-rest": Fault(_broken_answers),
    "rest-status": Fault(_rest_status),
    "close": Fault(_close),
    "mute": Fault(_mute),
    "refused-channels": Fault(_refused_channels),
    "maintenance": Fault(_maintenance, (5.0, 40.0)),
    "lost-prints": Fault(_once(lose_prints=5)),
    "lost-books": Fault(_once(lose_books=10)),
    "shutdown": Fault(_once(shutdown=True)),
    "reset-ids": Fault(_once(reset_sequences=True)),
    "roll": Fault(_once(roll=True)),
    "new-strike": Fault(_once(list_strike=True)),
    "pulled-quotes": Fault(_once(pull_quotes=True)),
    "cascade": Fault(_once(cascade=-1)),
    "venue-clock": Fault(_venue_clock),
    "venue-drift": Fault(_venue_drift),
    "clocks-disagree": Fault(_clocks_disagree),
    "wall-step": Fault(_wall_step),
    "wall-drift": Fault(_wall_drift),
    "overload": Fault(_overload, (5.0, 30.0)),
    "slow-steps": Fault(_slow_steps),
    "kill": Fault(_kill),
    "stop": Fault(_stop),
    "disk-full": Fault(_disk("full")),
    "disk-stall": Fault(_disk("stall")),
    "torn-write": Fault(_disk("torn")),
    "bit-flip": Fault(_bit_flip),
    "requests": Fault(_requests),
    "keys": Fault(_keys),
    "redis-stall": Fault(_redis_line(silent=True)),
    "redis-away": Fault(_redis_away),
    "redis-refuses": Fault(_redis_refuses),
    "redis-screens": Fault(_redis_screens, (30.0, 120.0)),
    "rest-readers": Fault(_readers),
}
