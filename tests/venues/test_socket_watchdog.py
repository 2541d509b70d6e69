import pytest

from dfmon.venues.health.socket_watchdog import SocketWatchdog, is_heartbeat
from dfmon.venues.protocol import Timeouts
from dfmon.venues.registry import find_source


@pytest.mark.parametrize(
    ("source", "frame", "expected"),
    [
        ("okx", b"pong", True),
        ("okx", b'{"id":"1","event":"subscribe","arg":{},"connId":"x"}', True),
        ("binance.spot", b'{"result":null,"id":1}', True),
        ("binance.spot", b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1}}', False),
        ("deribit", b'{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}', True),
        ("deribit", b'{"jsonrpc":"2.0","id":9,"result":["trades.option.BTC.100ms"],"usIn":1,"usOut":2}', True),
        ("deribit", b'{"method":"subscription","params":{"channel":"deribit_price_index.btc_usd","data":{}}}', False),
    ],
)
def test_heartbeats_and_responses_are_no_data(source: str, frame: bytes, expected: bool) -> None:
    heartbeats = find_source(source)[0].heartbeats
    assert is_heartbeat(frame, heartbeats) is expected
    assert not is_heartbeat(frame.ljust(401), heartbeats)


@pytest.mark.parametrize(
    ("data_at", "now", "reason"),
    [
        ((), 14.9, ""),
        ((), 15.0, "no data for 15 s after connecting"),
        ((1.0,), 35.9, ""),
        ((1.0,), 36.0, "no data for 35 s"),
    ],
)
def test_patience_is_shorter_until_the_first_data(data_at: tuple[float, ...], now: float, reason: str) -> None:
    watchdog, timeouts = SocketWatchdog(), Timeouts(first_data_s=15.0, max_silence_s=35.0)
    watchdog.start(0.0)
    for at in data_at:
        watchdog.received_data = True
        assert watchdog.check(at, timeouts) == ""
    assert watchdog.check(now, timeouts) == reason


def test_data_before_the_start_counts_and_is_remembered() -> None:
    """Frames may come before the socket has been announced."""
    watchdog, timeouts = SocketWatchdog(), Timeouts(first_data_s=15.0, max_silence_s=35.0)
    assert not SocketWatchdog().had_data
    watchdog.received_data = True
    watchdog.start(2.0)
    assert watchdog.had_data
    assert watchdog.check(17.0, timeouts) == ""
    assert (watchdog.received_data, watchdog.had_data) == (False, True)
