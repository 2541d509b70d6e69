"""The backlog of snapshots: what gives way is counted, unless it was on its way and is delivered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dfmon.sinks.redis_backlog import SnapshotBacklog


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.booleans()), max_size=30), st.integers(1, 5))
async def test_each_entry_is_delivered_conflated_or_waits_and_the_order_is_kept(
    rounds: list[tuple[int, int, bool]], limit: int
) -> None:
    """Rounds of entries that come before a batch is taken, and while it is on its way; some batches are refused."""
    backlog, produced, delivered = SnapshotBacklog("key", limit), 0, list[bytes]()
    for before, meanwhile, accepted in rounds:
        for _ in range(before):
            produced += 1
            backlog.append(b"%d" % produced)
        batch = await backlog.peek(3)
        for _ in range(meanwhile):
            produced += 1
            backlog.append(b"%d" % produced)
        if accepted:
            delivered += batch
            await backlog.take(len(batch))
        assert backlog.waiting <= limit
        assert backlog.delivered == len(delivered)
        assert produced == backlog.delivered + backlog.conflated + backlog.waiting
    assert [int(entry) for entry in delivered] == sorted({int(entry) for entry in delivered})
