"""Scenario changes and alerts of an earlier run, for a client that returns to the stream after a restart of dfmon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from dfmon.model.errors import DfmonError
from dfmon.model.scenario import ScenarioChange
from dfmon.model.snapshot import Alert
from dfmon.model.units import DAY, MILLISECOND, SECOND
from dfmon.sinks.rest.messages import RETAINED, Message, Subscriber, Topic

if TYPE_CHECKING:
    from dfmon.sinks.rest.context import RestContext

OVERLAP_NS: Final = 10 * SECOND  # an event is sent within this of its time
MAX_RANGE_NS: Final = 7 * DAY


class PastEvent(NamedTuple):
    """One stored event."""

    ts_ns: int
    content: ScenarioChange | Alert


PastEvents = Callable[[str, str, int, int], Sequence[PastEvent]]
"""The stored events of an underlying and a position model in a range of times, ns. Raises DfmonError."""


async def offer_past_events(context: RestContext, subscriber: Subscriber) -> None:
    """Offers what the history has between the last message that a client has seen and the start of this run.

    The number of that message tells its time. Each event has a number between the two, in the order of their times.
    """
    first_seq, since = context.messages.first_seq, subscriber.since
    if since is None or since >= first_seq or context.past_events is None:
        return
    read, until_ns = context.past_events, first_seq * MILLISECOND
    since_ns = max(since * MILLISECOND - OVERLAP_NS, until_ns - MAX_RANGE_NS)
    names = [subscriber.underlying] if subscriber.underlying else context.hub.underlyings()
    newest = [snapshot for name in names if (snapshot := context.hub.latest(name)) is not None]

    def read_all() -> list[tuple[PastEvent, str]]:
        found = [
            (event, snapshot.underlying)
            for snapshot in newest
            for event in read(snapshot.underlying, snapshot.positions.model, since_ns, until_ns)
        ]
        return sorted(found, key=lambda item: item[0].ts_ns)[-RETAINED:]

    try:
        events = await context.thread.submit(read_all)
    except DfmonError as exc:
        subscriber.past = f", and its history cannot be read: {exc}"
        return
    subscriber.past = "; the scenario changes and alerts of its history follow"
    seq = since
    for event, underlying in events:
        seq = max(seq + 1, event.ts_ns // MILLISECOND)
        topic: Topic = "alert" if isinstance(event.content, Alert) else "scenario"
        subscriber.offer(Message(topic, seq, underlying, event.content))
