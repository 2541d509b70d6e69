"""JSON-RPC of one Deribit connection: greeting, heartbeat, subscriptions and their responses.

The venue silently drops channels that it does not know and acknowledges the rest in any order, so requested and
accepted are compared as sets. One frame may have 32 kB and one call 500 channels. `protocol` drives this and reads
`outgoing`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from dfmon.model.clock_step import ClockStepDetector
from dfmon.model.units import MINUTE, SECOND
from dfmon.venues.token_bucket import TokenBucket
from dfmon.version import __version__

_MAX_CHUNK_CHANNELS: Final = 400
_MAX_CHUNK_BYTES: Final = 28_000
_HEARTBEAT_S: Final = 15
_RETRY_AFTER: Final = 3 * SECOND
_MAX_RETRIES: Final = 5
_CALLS_PER_S: Final = 2.0  # subscriptions and their ends: the venue's 3,000 credits each come back 3.3 times a second
_CALLS_BURST: Final = 8.0  # of the ten that its pool of 30,000 holds
_FIRST_CLOCK_DELAY: Final = 10 * SECOND  # the first reading is delayed by the snapshots before it
_CLOCK_INTERVAL: Final = MINUTE

ERROR_MESSAGES: Final = {
    10028: "too many requests: the venue ends the connection",
    10030: "request works on a websocket only",
    10040: "the venue asks to retry",
    10041: "settlement in progress",
    10047: "the matching engine's queue is full",
    10066: "too many requests at once",
    11029: "invalid arguments",
    11050: "bad request",
    11051: "system maintenance",
    11052: "the venue dropped a subscription",
    11056: "public requests without an account are switched off",
    11094: "internal error of the venue",
    13009: "an account is needed",
    13028: "temporarily unavailable",
    13503: "unavailable",
    13778: "raw channels need an account",
    13888: "timed out at the venue",
    -32600: "request too large",
    -32601: "unknown method",
    -32602: "invalid parameters",
    -32700: "request was not JSON",
}
TRANSIENT_ERRORS: Final = frozenset({10040, 10041, 10047, 10066, 11051, 11052, 11094, 13028, 13503, 13888})
CLOSED_ERRORS: Final = frozenset({11051, 11056})  # for all clients, until a notice of the venue
FATAL_ERRORS: Final = CLOSED_ERRORS | {10028}


class JsonRpcClient:
    """Requests of one connection by id."""

    def __init__(self) -> None:
        self.outgoing: list[str] = []
        self.accepted: set[str] = set()
        self._next_id = 1
        self._pending: dict[int, tuple[str, ...]] = {}
        self._waiting: deque[tuple[str, list[str]]] = deque()  # bounded by the channels there are
        self._bucket = TokenBucket(_CALLS_PER_S, _CALLS_BURST)
        self._time_requests: dict[int, int] = {}
        self._next_clock_ns = 0
        self._now_ns = 0
        self._step_detector = ClockStepDetector()
        self._to_retry: list[str] = []
        self._retry_ns = 0
        self._retries = 0

    def handshake(self, now_ns: int) -> None:
        self._now_ns = now_ns
        self.request("public/hello", client_name="dfmon", client_version=__version__)
        self.request("public/set_heartbeat", interval=_HEARTBEAT_S)
        self._next_clock_ns = now_ns + _FIRST_CLOCK_DELAY

    def request(self, method: str, **params: object) -> int:
        request_id, self._next_id = self._next_id, self._next_id + 1
        body = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        self.outgoing.append(msgspec.json.encode(body).decode())
        return request_id

    def subscribe(self, channels: Iterable[str]) -> None:
        self._waiting.extend(("public/subscribe", chunk) for chunk in _chunks(channels))
        self._release()

    def unsubscribe(self, channels: Sequence[str]) -> None:
        self.accepted.difference_update(channels)
        self._waiting.extend(("public/unsubscribe", chunk) for chunk in _chunks(channels))
        self._release()

    def resubscribe(self, channels: Sequence[str]) -> None:
        """Unsubscribes first: a second subscription to the same channel brings no snapshot."""
        self.unsubscribe(channels)
        self.subscribe(channels)

    def _release(self) -> None:
        """Sends waiting calls at the rate at which the venue's credits return."""
        while self._waiting and self._bucket.try_acquire(self._now_ns / SECOND):
            method, chunk = self._waiting.popleft()
            request_id = self.request(method, channels=chunk)
            if method == "public/subscribe":
                self._pending[request_id] = tuple(chunk)

    def request_time(self) -> None:
        self._time_requests[self.request("public/get_time")] = self._now_ns

    def pop_time_request(self, request_id: int) -> int | None:
        """Send time of the request with this id, if it asked for the venue's time."""
        return self._time_requests.pop(request_id, None)

    @property
    def subscribed(self) -> bool:
        """True once every subscription has a response."""
        return not self._pending and not self._to_retry and not self._waiting

    def is_subscription(self, request_id: int) -> bool:
        return request_id in self._pending

    def on_acknowledged(self, request_id: int, accepted: Iterable[str]) -> list[str]:
        """The response to a subscription. Returns the channels that were requested and are missing."""
        requested = self._pending.pop(request_id, ())
        received = set(accepted)
        self.accepted |= received.intersection(requested)
        return [channel for channel in requested if channel not in received]

    def on_refused(self, request_id: int | None, code: int) -> tuple[str, ...]:
        """An error. Returns the channels that it costs; after a transient one `on_timer` retries."""
        channels = self._pending.pop(request_id, ()) if request_id is not None else ()
        if channels and code in TRANSIENT_ERRORS and self._retries < _MAX_RETRIES:
            self._retries += 1
            self._to_retry += channels
            return ()
        return channels

    def on_timer(self, now_ns: int) -> None:
        """Requests the time, sends waiting calls, and subscribes channels again after transient errors."""
        self._now_ns = now_ns
        if self._step_detector.is_step(now_ns) or now_ns >= self._next_clock_ns:
            self._next_clock_ns = now_ns + _CLOCK_INTERVAL
            self._time_requests.clear()  # too slow to measure a clock by
            self.request_time()
        self._release()
        if not self._to_retry:
            return
        if not self._retry_ns:
            self._retry_ns = now_ns + _RETRY_AFTER
        elif now_ns >= self._retry_ns:
            channels, self._to_retry, self._retry_ns = self._to_retry, [], 0
            self.subscribe(channels)


def _chunks(channels: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for channel in channels:
        if chunk and (len(chunk) >= _MAX_CHUNK_CHANNELS or size + len(channel) + 3 > _MAX_CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(channel)
        size += len(channel) + 3
    if chunk:
        yield chunk
