"""The REST calls of a protocol: one per tag at a time, failed ones retried with back-off.

Every protocol owns one. It has no clock: a failed call waits for the next `release_retries`, which takes the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dfmon.model.backoff import backoff_delay
from dfmon.model.units import SECOND
from dfmon.venues.protocol import RestCall

_MIN_BACKOFF: Final = 5 * SECOND
_MAX_BACKOFF: Final = 60 * SECOND


@dataclass(slots=True)
class _PendingCall:
    call: RestCall
    retry: bool
    failures: int = 0
    failed: bool = False
    retry_ns: int = 0


class RestQueue:
    """Queued, pending and failed calls."""

    def __init__(self) -> None:
        self._outgoing: list[RestCall] = []
        self._pending: dict[str, _PendingCall] = {}

    def enqueue(self, tag: str, path: str, *, retry: bool = True, cost: float = 1.0, **params: str | int) -> None:
        """Queues a call, unless one of the same tag is pending."""
        if tag in self._pending:
            return
        call = RestCall(tag, path, tuple((key, str(value)) for key, value in params.items()), cost)
        self._pending[tag] = _PendingCall(call, retry)
        self._outgoing.append(call)

    def completed(self, tag: str) -> None:
        self._pending.pop(tag, None)

    def failed(self, tag: str) -> None:
        """Schedule the retry of a call, or drop it where the next poll replaces it."""
        pending = self._pending.get(tag)
        if pending is None:
            return
        if not pending.retry:
            del self._pending[tag]
            return
        pending.failures += 1
        pending.failed, pending.retry_ns = True, 0

    def release_retries(self, now_ns: int) -> None:
        """Queues the failed calls whose back-off is over."""
        for pending in self._pending.values():
            if not pending.failed:
                continue
            if not pending.retry_ns:
                pending.retry_ns = now_ns + backoff_delay(pending.failures - 1, _MIN_BACKOFF, _MAX_BACKOFF)
            elif pending.retry_ns <= now_ns:
                pending.failed = False
                self._outgoing.append(pending.call)

    def is_pending(self, tag: str) -> bool:
        """True while a call of this tag is queued, in flight or waiting for its retry."""
        return tag in self._pending

    def clear(self) -> None:
        self._outgoing.clear()
        self._pending.clear()

    def pop_calls(self) -> list[RestCall]:
        outgoing, self._outgoing = self._outgoing, []
        return outgoing
