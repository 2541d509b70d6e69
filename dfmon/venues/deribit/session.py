"""The JSON-RPC side of one Deribit connection: greeting, heartbeat, subscriptions and what was made of them.

The venue drops channels it does not know without a word and acknowledges the rest in any order, so wanted and accepted
are compared as sets. One frame may hold 32 kB and one call 500 channels. `protocol` drives this and reads `out`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from dfmon.model.units import SECOND
from dfmon.version import __version__

_CHUNK_CHANNELS: Final = 400
_CHUNK_BYTES: Final = 28_000
_HEARTBEAT_S: Final = 15
_RETRY_AFTER: Final = 3 * SECOND
_RETRIES: Final = 5

WORDS: Final = {
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
PASSING: Final = frozenset({10040, 10041, 10047, 10066, 11051, 11052, 11094, 13028, 13503, 13888})
FATAL: Final = frozenset({10028, 11051, 11056})


class Session:
    """Requests of one connection with their numbers, and what each number was about."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.accepted: set[str] = set()
        self._next_id = 1
        self._open: dict[int, tuple[str, ...]] = {}
        self._again: list[str] = []
        self._again_ns = 0
        self._retries = 0

    def greet(self) -> None:
        self.request("public/hello", client_name="dfmon", client_version=__version__)
        self.request("public/set_heartbeat", interval=_HEARTBEAT_S)

    def request(self, method: str, **params: object) -> int:
        number, self._next_id = self._next_id, self._next_id + 1
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        self.out.append(msgspec.json.encode(body).decode())
        return number

    def subscribe(self, channels: Iterable[str]) -> None:
        for chunk in _chunks(channels):
            self._open[self.request("public/subscribe", channels=chunk)] = tuple(chunk)

    def unsubscribe(self, channels: Sequence[str]) -> None:
        self.accepted.difference_update(channels)
        for chunk in _chunks(channels):
            self.request("public/unsubscribe", channels=chunk)

    @property
    def settled(self) -> bool:
        """Whether every subscription has been answered."""
        return not self._open and not self._again

    def asks_channels(self, number: int) -> bool:
        return number in self._open

    def acknowledged(self, number: int, accepted: Iterable[str]) -> list[str]:
        """The answer to a subscription: the channels that were asked for and left out."""
        wanted = self._open.pop(number, ())
        got = set(accepted)
        self.accepted |= got.intersection(wanted)
        return [channel for channel in wanted if channel not in got]

    def refused(self, number: int | None, code: int) -> tuple[str, ...]:
        """An error: the channels that are lost by it; a passing trouble is tried again by `due`."""
        channels = self._open.pop(number, ()) if number is not None else ()
        if channels and code in PASSING and self._retries < _RETRIES:
            self._retries += 1
            self._again += channels
            return ()
        return channels

    def due(self, now_ns: int) -> None:
        """Subscribe again what a passing trouble refused."""
        if not self._again:
            return
        if not self._again_ns:
            self._again_ns = now_ns + _RETRY_AFTER
        elif now_ns >= self._again_ns:
            channels, self._again, self._again_ns = self._again, [], 0
            self.subscribe(channels)


def _chunks(channels: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for channel in channels:
        if chunk and (len(chunk) >= _CHUNK_CHANNELS or size + len(channel) + 3 > _CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(channel)
        size += len(channel) + 3
    if chunk:
        yield chunk
