"""What the venues share when they decode: the memory of prints."""

from hypothesis import given
from hypothesis import strategies as st

from dfmon.model.events import MarketTrade
from dfmon.venues.decoding import TradeDeduplicator
from tests.venues import test_okx as okx


@given(st.integers(1, 2**61), st.lists(st.integers(1, 3), min_size=1, max_size=300), st.integers(0, 1_000))
def test_what_two_connections_bring_counts_once(first: int, steps: list[int], behind: int) -> None:
    """Numbers rise, now and then by more than one; the second connection is some prints behind the first."""
    numbers = [first := first + step for step in steps]
    deduplicator, new_numbers = TradeDeduplicator(), []
    for index in range(len(numbers) + behind):
        new_numbers += [n for n in numbers[index : index + 1] if deduplicator.is_new("BTC", n)]
        new_numbers += [
            n for n in numbers[index - behind : index - behind + 1] if index >= behind and deduplicator.is_new("BTC", n)
        ]
    assert new_numbers == numbers


def test_the_memory_of_a_market_is_as_large_after_hours_as_after_its_first_print() -> None:
    deduplicator, sizes = TradeDeduplicator(), set()
    for number in range(1, 50_000):
        assert deduplicator.is_new("BTC", number)
        assert not deduplicator.is_new("BTC", number)
        sizes.add(sum(id_table.buffer_info()[1] * id_table.itemsize for id_table in deduplicator._seen.values()))
    assert len(sizes) == 1


def test_a_print_without_a_readable_number_is_fresh_each_time() -> None:
    protocol = okx.connected()
    for number in ("", "", "7x", "7x", "-7", "9" * 5_000):
        assert okx.kinds(protocol.frame_received(okx.trade("1", number=number))) == [MarketTrade]
