"""The contract every venue fulfils, without a socket: bytes in, events out, and what should be sent.

A protocol owns the wire state of one connection. It never reads a clock: times are handed in. The connection runner
drives it live and the replayer drives it from a journal; it cannot tell which, and in a replay nobody reads what
it wants to send. `frame_received` and `response_received` never raise, whatever the bytes are: what they cannot use
becomes a `Rejected` event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dfmon.model.events import Event


@dataclass(frozen=True, slots=True)
class RestCall:
    """A GET the protocol needs answered: `tag` comes back with the body. `path` is joined to the venue's REST base."""

    tag: str
    path: str
    params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection may be silent before it is given up, seconds. Data counts, heartbeats do not."""

    first_data_s: float = 15.0
    data_s: float = 35.0


class VenueProtocol(Protocol):
    """One connection's wire state. Calls come in journal order, from one thread.

    After any call read `data_to_send` and `rest_calls`: both empty themselves.
    """

    source: str
    patience: Patience

    def connection_made(self, now_ns: int) -> Sequence[Event]:
        """The socket is open: queue the greeting and the subscriptions; forget all state of the last connection."""

    def frame_received(self, frame: bytes) -> Sequence[Event]:
        """Decode one text frame."""

    def response_received(self, tag: str, body: bytes) -> Sequence[Event]:
        """Decode the answer to a `RestCall`; an empty body means that the call failed."""

    def connection_lost(self, reason: str) -> Sequence[Event]:
        """The socket is gone: events that say what can no longer be trusted."""

    def due(self, now_ns: int) -> None:
        """Timers: paced subscriptions, pings, resynchronisation, periodic REST calls. Called about once a second."""

    def data_to_send(self) -> list[str]:
        """Text frames to send now, in order."""

    def rest_calls(self) -> list[RestCall]:
        """GETs to make now."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a protocol connects: websocket URL, REST base, the protocol. Only the URLs differ for a simulator."""

    source: str
    url: str
    rest: str
    protocol: VenueProtocol
    headers: tuple[tuple[str, str], ...] = field(default=())
