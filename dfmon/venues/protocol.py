"""The contract of a venue, without I/O: bytes in, events out, and the frames and REST calls to send.

A protocol owns the wire state of one connection. It reads no clock: times are arguments. The connection runner drives
it live and the replayer from a journal, which discards its frames and calls. `frame_received` and `response_received`
raise nothing, whatever the bytes are: what they cannot use becomes a `Rejected` event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from dfmon.model.events import Event


@dataclass(frozen=True, slots=True)
class RestCall:
    """A GET for the protocol: `tag` comes back with the body. `path` is appended to the venue's REST base.

    `cost` is how many ordinary calls it counts for at the venue.
    """

    tag: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    cost: float = 1.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Longest silences of a connection before it is closed, seconds. Data counts, heartbeats do not.

    After `max_age_s` the connection is replaced by a new one, before the venue ends it.
    """

    first_data_s: float = 15.0
    max_silence_s: float = 35.0
    max_age_s: float = float("inf")


class DropPolicy(Enum):
    """Treatment of a waiting frame while more arrive than can be applied."""

    PRINT = auto()  # a trade: never dropped, and taken from a connection that is being replaced too
    NEVER = auto()  # a message that no later one repeats: never dropped
    CONFLATE = auto()  # a full state: a newer frame of the same key replaces it
    DROPPABLE = auto()  # a numbered difference: dropped as a last resort, since the protocol detects the gap


class VenueProtocol(Protocol):
    """One connection's wire state. Calls come in journal order, from one thread.

    After any call read `data_to_send` and `rest_calls`: both empty themselves. `failure_reason` and `closing_reason`
    are texts, or empty: the connection must be closed and made again, or replaced by a new one before it
    ends. `subscribed` is true once all subscriptions of this connection have a response, or, if it makes none, once
    data has come. `path` follows the base URL of the websocket.
    """

    source: str
    path: str
    timeouts: Timeouts

    @property
    def failure_reason(self) -> str: ...
    @property
    def closing_reason(self) -> str: ...
    @property
    def subscribed(self) -> bool: ...

    def connection_made(self, now_ns: int) -> Sequence[Event]:
        """The socket is open: queues greeting and subscriptions, and resets the state of the last connection."""

    def frame_received(self, frame: bytes) -> Sequence[Event]:
        """Decodes one text frame."""

    def response_received(self, tag: str, body: bytes) -> Sequence[Event]:
        """Decodes the response to a `RestCall`; an empty body means that the call failed, so nothing was rejected."""

    def connection_lost(self, reason: str) -> Sequence[Event]:
        """The socket is lost. Returns events about state that is no longer valid."""

    def on_timer(self, now_ns: int) -> Sequence[Event]:
        """Timers: paced subscriptions, pings, stalled channels, periodic REST calls. Called about once a second.

        It is called while the connection is down too. The call is a record of the journal, like a frame.
        """

    def classify(self, frame: bytes) -> tuple[DropPolicy, str]:
        """The drop policy of a waiting frame and its key: kind, a space, subject."""

    def data_to_send(self) -> list[str]:
        """Text frames to send now, in order."""

    def rest_calls(self) -> list[RestCall]:
        """GETs to make now."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A protocol, the websocket URL and the REST base that it connects to. Only the URLs differ for a simulator.

    `heartbeats` are texts of short frames that carry no market data.
    """

    source: str
    url: str
    rest: str
    protocol: VenueProtocol
    headers: tuple[tuple[str, str], ...] = field(default=())
    heartbeats: tuple[bytes, ...] = ()
