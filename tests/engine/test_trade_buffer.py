import msgspec

from dfmon.engine.trade_buffer import TradeBuffer, trade_columns
from dfmon.model.frames import TradeHistory
from dfmon.model.keys import stable_key
from tests.chains import trade


def test_prints_come_out_in_the_order_in_which_they_were_applied() -> None:
    buffer = TradeBuffer()
    for row, side in ((3, 1), (1, -1), (2, 1)):
        buffer.add(row, trade("X", side, float(row)))
    columns, _, _ = buffer.drain()
    assert columns.uid.tolist() == [3, 1, 2]
    assert columns.side.tolist() == [1, -1, 1]
    assert columns.size.tolist() == [3.0, 1.0, 2.0]


def test_drained_buffer_is_empty() -> None:
    buffer = TradeBuffer()
    buffer.add(0, trade("X"))
    buffer.drain()
    assert buffer.drain()[0].uid.size == 0


def test_legs_of_one_combo_share_a_key_and_singles_do_not() -> None:
    buffer = TradeBuffer()
    for n, event_id in enumerate(("", "combo", "", "combo")):
        buffer.add(0, trade("X", ns=n, event_id=event_id))
    first, combo, second, other_leg = buffer.drain()[0].key.tolist()
    assert combo == other_leg
    assert len({first, second, combo}) == 3


def test_key_of_an_event_is_the_same_in_every_run() -> None:
    assert stable_key("BTC-combo-1") == 12_798_930_445_053_781_792  # of BLAKE2b; a stored state rests on it


def test_empty_drain_has_the_types_of_a_full_one() -> None:
    buffer = TradeBuffer()
    empty, _, _ = buffer.drain()
    buffer.add(0, trade("X", block=True, liquidation="T"))
    full, _, _ = buffer.drain()
    assert full.liquidation == ("T",)
    for name in ("uid", "exch_ns", "side", "size", "price", "sigma", "block", "rfq", "combo", "seq", "key"):
        assert getattr(empty, name).dtype == getattr(full, name).dtype, name


def test_what_a_failed_tick_took_comes_again_before_what_came_since() -> None:
    buffer = TradeBuffer()
    history = TradeHistory(3, trade_columns([], []))
    buffer.add(1, trade("X", ns=1))
    buffer.add_history(history)
    buffer.add_lost(4, 2)
    buffer.drain()
    buffer.add(2, trade("X", ns=2))
    buffer.add_lost(4, 3)
    buffer.restore_drained()
    columns, trade_histories, lost_counts = buffer.drain()
    assert columns.uid.tolist() == [1, 2]
    assert trade_histories == (history,)
    assert lost_counts == {4: 5}
    buffer.commit_drained()
    buffer.restore_drained()
    assert buffer.drain()[0].uid.size == 0, "a computed tick is not computed again"


def test_a_print_that_a_life_holds_is_in_the_life_only() -> None:
    buffer = TradeBuffer()
    covered, later, other_option = trade("X", ns=1), trade("X", ns=2), trade("Y", ns=3)
    buffer.add(1, msgspec.structs.replace(covered, seq=7))
    buffer.add_history(TradeHistory(1, trade_columns([1], [msgspec.structs.replace(covered, seq=7)])))
    buffer.add(1, msgspec.structs.replace(later, seq=8))
    buffer.add(2, other_option)
    columns, _, _ = buffer.drain()
    assert list(zip(columns.uid.tolist(), columns.seq.tolist())) == [(1, 8), (2, 1)]
