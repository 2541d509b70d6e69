"""The messages of `/v1/stream`: numbered over all topics, selected by subscribers, and what a slow one does not get.

Snapshots are conflated: a subscriber that is slow gets the newest of each underlying. Scenario changes, alerts and
prints are not: they wait in order, up to MAX_UNREAD, and the last RETAINED of each topic are sent again to a client
that returns with the number of the last message it has seen. A message `gap` says what cannot be sent any more.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from itertools import chain, islice
from typing import Final, Literal, NamedTuple, get_args

import msgspec

from dfmon.aio import wait_until_set
from dfmon.model.scenario import ScenarioChange
from dfmon.model.snapshot import Alert, FlowSnapshot
from dfmon.model.units import MILLISECOND
from dfmon.sinks.base import HubListener, SinkProgress
from dfmon.sinks.events import EventReader, Print

Topic = Literal["snapshot", "scenario", "alert", "print"]
TOPICS: Final[tuple[Topic, ...]] = get_args(Topic)
RETAINED: Final = 1_000
MAX_UNREAD: Final = 3 * RETAINED  # events that wait for one subscriber
KEEP_ALIVE_S: Final = 15.0
_WOKEN_AT_ONCE: Final = 16  # subscribers; between two groups the loop serves the market's sockets


class Gap(msgspec.Struct, frozen=True):
    """Messages that are missing before this one: how many, where that is known, and why."""

    missing: int | None
    reason: str


Content = FlowSnapshot | ScenarioChange | Alert | Print | Gap


class Message(NamedTuple):
    """One message; `underlying` is empty where it concerns all.

    `seq` is the time of sending in milliseconds since 1970, or one more than the number before: it rises over all
    topics, and over restarts.
    """

    topic: Topic | Literal["gap"]
    seq: int
    underlying: str
    content: Content


class MessageLog:
    """Numbers the messages of one service and passes them to its subscribers."""

    def __init__(
        self, listener: HubListener, progress: SinkProgress, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.progress = progress
        self._listener = listener  # keeps it alive
        self._clock_ns = clock_ns
        self.first_seq = self.seq = clock_ns() // MILLISECOND
        self._readers: dict[str, EventReader] = {}
        self._retained: dict[str, deque[Message]] = {topic: deque(maxlen=RETAINED) for topic in TOPICS}
        self._forgotten_seq = dict.fromkeys(TOPICS, 0)  # of the newest event of a topic that is not retained any more
        self._newest: dict[str, Message] = {}
        self._subscribers: dict[Subscriber, None] = {}
        for name in listener.hub.underlyings():
            if (snapshot := listener.hub.latest(name)) is not None:
                self.offer(snapshot)
        listener.add(self)

    def offer(self, snapshot: FlowSnapshot) -> None:
        """Takes a snapshot of the hub, on the market's loop."""
        messages = list(self._event_messages(snapshot))
        messages.append(self._next("snapshot", snapshot.underlying, snapshot))
        self._newest[snapshot.underlying] = messages[-1]
        for subscriber in self._subscribers:
            for message in messages:
                subscriber.offer(message)
        if self._subscribers:
            self._wake(iter(tuple(self._subscribers)))

    def _event_messages(self, snapshot: FlowSnapshot) -> Iterator[Message]:
        """Messages of what is new in a snapshot, which are retained."""
        reader = self._readers.setdefault(snapshot.underlying, EventReader(""))
        for event in reader.read(snapshot):
            content = event.scenario or event.alert or event.print
            if content is None:
                continue
            message = self._next(event.kind, snapshot.underlying, content)
            retained = self._retained[event.kind]
            if len(retained) == retained.maxlen:
                self._forgotten_seq[event.kind] = retained[0].seq
            retained.append(message)
            yield message

    def add(self, subscriber: Subscriber, since: int | None) -> None:
        """Sends the newest snapshots, and the events after the message `since` where one is given."""
        self._subscribers[subscriber] = None
        if since is not None:
            subscriber.gap = self._gap_after(since, subscriber)
            for message in sorted(chain.from_iterable(self._retained.values()), key=lambda message: message.seq):
                if message.seq > since:
                    subscriber.offer(message)
        for message in self._newest.values():
            subscriber.offer(message)
        subscriber.wake()

    def discard(self, subscriber: Subscriber) -> None:
        self._subscribers.pop(subscriber, None)

    def _next(self, topic: Topic, underlying: str, content: Content) -> Message:
        self.seq = max(self.seq + 1, self._clock_ns() // MILLISECOND)
        return Message(topic, self.seq, underlying, content)

    def _gap_after(self, since: int, subscriber: Subscriber) -> Gap | None:
        if since > self.seq:
            return Gap(None, "that number is not known here")
        if since < self.first_seq:
            return Gap(None, f"dfmon has started again since that message{subscriber.past}")
        if any(since < seq for topic, seq in self._forgotten_seq.items() if topic in subscriber.topics):
            return Gap(None, f"the last {RETAINED} events of each topic are there")
        return None

    def _wake(self, subscribers: Iterator[Subscriber]) -> None:
        group = list(islice(subscribers, _WOKEN_AT_ONCE))
        for subscriber in group:
            subscriber.wake()
        if len(group) == _WOKEN_AT_ONCE:
            asyncio.get_running_loop().call_soon(self._wake, subscribers)


class Subscriber:
    """The messages that one client has not been sent yet, of its topics and underlying."""

    def __init__(self, log: MessageLog, topics: frozenset[str], underlying: str | None, since: int | None) -> None:
        self.gap: Gap | None = None  # before all that waits
        self.past = ""  # the part of a gap that says what came of an earlier run
        self.topics, self.underlying, self.since = topics, underlying, since
        self._log = log
        self._events: deque[Message] = deque()  # bounded in `offer`
        self._snapshots: dict[str, Message] = {}
        self._changed = asyncio.Event()

    def offer(self, message: Message) -> None:
        if message.underlying and self.underlying not in (None, message.underlying):
            return
        if message.topic not in self.topics:
            return
        if message.topic == "snapshot":
            self._log.progress.dropped += message.underlying in self._snapshots
            self._snapshots[message.underlying] = message
        else:
            self._events.append(message)
            if len(self._events) > MAX_UNREAD:
                self._events.popleft()
                missing = 1 + ((self.gap.missing or 0) if self.gap is not None else 0)
                self.gap = Gap(missing, f"of events up to {MAX_UNREAD} wait for a client that reads slowly")

    def wake(self) -> None:
        self._changed.set()

    async def messages(self, closing: asyncio.Event) -> AsyncGenerator[Message | None, None]:
        """Messages in the order of their numbers, until `closing` is set; None after KEEP_ALIVE_S without one."""
        closed = asyncio.ensure_future(closing.wait())
        closed.add_done_callback(lambda _: self.wake())
        self._log.add(self, self.since)
        try:
            while not closing.is_set():
                if not await wait_until_set(self._changed, KEEP_ALIVE_S):
                    yield None
                self._changed.clear()
                while (message := self._take()) is not None:
                    yield message
        finally:
            closed.cancel()
            self._log.discard(self)

    def _take(self) -> Message | None:
        """The oldest message that waits."""
        if (gap := self.gap) is not None:
            self.gap = None
            waiting = [*islice(self._events, 1), *self._snapshots.values()]
            return Message("gap", min((message.seq - 1 for message in waiting), default=self._log.seq), "", gap)
        underlying, oldest = min(self._snapshots.items(), key=lambda item: item[1].seq, default=("", None))
        if self._events and (oldest is None or self._events[0].seq < oldest.seq):
            return self._events.popleft()
        return None if oldest is None else self._snapshots.pop(underlying)
