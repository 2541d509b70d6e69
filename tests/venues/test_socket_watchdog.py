import pytest

from dfmon.venues.health.socket_watchdog import Silence, is_chatter
from dfmon.venues.protocol import Patience


def test_chatter_is_what_brings_no_data():
    assert is_chatter(b"pong")
    assert is_chatter(b'{"id":"1","event":"subscribe","arg":{},"connId":"x"}')
    assert is_chatter(b'{"result":null,"id":1}')
    assert not is_chatter(b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1}}')
    assert not is_chatter(b'{"method":"subscription","params":{"channel":"deribit_price_index.btc_usd","data":{}}}')


@pytest.mark.parametrize(
    ("heard_at", "last", "words"),
    [
        ((), 14.9, ""),
        ((), 15.0, "no data for 15 s after connecting"),
        ((1.0,), 35.9, ""),
        ((1.0,), 36.0, "no data for 35 s"),
    ],
)
def test_patience_is_shorter_until_the_first_data(heard_at: tuple[float, ...], last: float, words: str):
    silence, patience = Silence(), Patience(first_data_s=15.0, data_s=35.0)
    silence.begin(0.0)
    for at in heard_at:
        silence.heard = True
        assert silence.too_long(at, patience) == ""
    assert silence.too_long(last, patience) == words


def test_a_new_socket_has_heard_nothing():
    silence, patience = Silence(), Patience(first_data_s=15.0, data_s=35.0)
    silence.begin(0.0)
    silence.heard = True
    assert silence.too_long(1.0, patience) == ""
    silence.begin(2.0)
    assert silence.too_long(17.0, patience) == "no data for 15 s after connecting"
