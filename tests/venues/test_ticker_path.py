"""The path of a ticker, from the function that its transport calls to the columns, in functions and files of dfmon."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter
from types import FrameType, SimpleNamespace

import pytest
from bench_decode import NAMES, NOW_MS, DfmonDecoder, ticker
from websockets.frames import Frame, Opcode

from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.model.events import Listed
from dfmon.model.units import MILLISECOND, SECOND
from dfmon.venues import connection
from dfmon.venues.protocol import RestCall
from dfmon.venues.registry import endpoint
from dfmon.venues.socket_gate import SocketFilter
from dfmon.venues.transport import websockets
from dfmon.venues.transport.websockets import open_websockets

NOW = NOW_MS * MILLISECOND
Call = tuple[str, str]  # file and function


class NoRest:
    errors: dict[str, str] = {}  # noqa: RUF012

    async def get(self, base: str, call: RestCall) -> bytes:
        raise AssertionError(call)


@contextmanager
def recorded_calls() -> Iterator[list[Call]]:
    """Functions of dfmon in the order of their calls; a comprehension is part of its function."""
    calls: list[Call] = []

    def on_event(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and frame.f_globals.get("__name__", "").startswith("dfmon.") and "<" not in code.co_name:
            calls.append((code.co_filename, code.co_qualname))

    sys.setprofile(on_event)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def up_to(calls: list[Call], function: str) -> list[Call]:
    last = max(number for number, (_, name) in enumerate(calls) if name == function)
    return calls[: last + 1]


def websockets_frame(on_frame: SocketFilter, payload: bytes) -> Callable[[], None]:
    """A frame as `websockets` hands it over."""
    socket = websockets._InlineConnection.__new__(websockets._InlineConnection)
    socket._on_frame, socket._fragment_count, socket._abort_timer = on_frame, 0, None
    frame = Frame(Opcode.TEXT, payload)
    return lambda: socket.process_event(frame)


def picows_frame(on_frame: SocketFilter, payload: bytes) -> Callable[[], None]:
    """A frame as `picows` hands it over."""
    picows = pytest.importorskip("picows")
    from dfmon.venues.transport.picows import _Listener

    listener = _Listener(on_frame)
    frame = SimpleNamespace(msg_type=picows.WSMsgType.TEXT, fin=True, get_payload_as_bytes=lambda: payload)
    return lambda: listener.on_ws_frame(None, frame)


@pytest.mark.parametrize("is_later_in_second", [False, True])
@pytest.mark.parametrize("arrive", [websockets_frame, picows_frame])
async def test_a_ticker_takes_ten_functions_in_eight_files_from_its_socket_to_the_columns(
    arrive: Callable[[SocketFilter, bytes], Callable[[], None]],
    is_later_in_second: bool,
) -> None:
    protocol = DfmonDecoder().protocol
    driver = Driver(("BTC",), FlowParams(), {"deribit": protocol}, lambda _: None, options_sources=("deribit",))
    driver.apply_events([Listed(option) for option in protocol.options.values()], NOW)
    deribit = replace(endpoint("deribit", ["BTC"]), protocol=protocol)
    clock = iter(range(NOW + SECOND, NOW + 9 * SECOND, SECOND))
    runner = connection._Runner(
        deribit, driver, NoRest(), clock.__next__, 1.0, None, open_websockets, None, perf_counter
    )
    on_frame = runner._new_filter()
    on_frame.open()
    on_frame(ticker(NAMES[0], 1_000))
    time.sleep(0.001)  # else the queue could find itself busy
    on_frame.watchdog.received_data = is_later_in_second
    arrival = arrive(on_frame, ticker(NAMES[1], 1_000))
    with recorded_calls() as calls:
        arrival()
    frame_path = up_to(calls, "TickerBuffer.on_raw_ticker")
    with recorded_calls() as calls:
        driver._chains._tickers.flush_tickers()
    tick_path = up_to(calls, "Ticker.to_option_ticker")
    path = dict.fromkeys([*frame_path, *tick_path])
    assert len(path) <= 10, list(path)
    assert len({file for file, _ in path}) <= 8
    frame = driver._chains.freeze("BTC", NOW + SECOND)
    assert dict(zip(frame.names, frame.sigma.tolist()))[NAMES[1]] == 0.5706
