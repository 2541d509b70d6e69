import pytest

from dfmon.venues.health.socket_watchdog import SocketWatchdog, is_non_data
from dfmon.venues.protocol import Timeouts


def test_chatter_is_what_brings_no_data() -> None:
    assert is_non_data(b"pong")
    assert is_non_data(b'{"id":"1","event":"subscribe","arg":{},"connId":"x"}')
    assert is_non_data(b'{"result":null,"id":1}')
    assert not is_non_data(b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1}}')
    assert not is_non_data(b'{"method":"subscription","params":{"channel":"deribit_price_index.btc_usd","data":{}}}')


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


def test_a_new_socket_has_heard_nothing() -> None:
    watchdog, timeouts = SocketWatchdog(), Timeouts(first_data_s=15.0, max_silence_s=35.0)
    watchdog.start(0.0)
    watchdog.received_data = True
    assert watchdog.check(1.0, timeouts) == ""
    watchdog.start(2.0)
    assert watchdog.check(17.0, timeouts) == "no data for 15 s after connecting"
