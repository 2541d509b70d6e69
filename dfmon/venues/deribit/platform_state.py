"""Outages of the venue or of one of its indices, from its notices and from status requests.

About a hundred notices a minute state that nothing is locked; only a change of one of our indices is reported.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from dfmon.model.events import FeedStatus
from dfmon.model.units import SECOND
from dfmon.venues.deribit import wire
from dfmon.venues.deribit.jsonrpc import ERROR_MESSAGES, JsonRpcClient
from dfmon.venues.health.status import StatusTracker
from dfmon.venues.timers import is_time_reached

_STATUS_INTERVAL: Final = 10 * SECOND


class PlatformMonitor:
    """Sets the issues `closed` and `locked` of a connection's status. `indices` are those of the underlyings."""

    def __init__(self, status: StatusTracker, indices: Collection[str]) -> None:
        self._status, self._indices = status, indices
        self._locked: set[str] = set()
        self._status_request_id: int | None = None
        self._next_status_ns = 0

    def restart(self) -> None:
        self._locked.clear()
        self._status_request_id = None

    @property
    def is_halted(self) -> bool:
        return self._status.has_issue("closed") or self._status.has_issue("locked")

    def on_notification(self, row: wire.PlatformState) -> list[FeedStatus]:
        """A notice of the venue."""
        if row.maintenance is not None or row.allow_unauthenticated_public_requests is not None:
            closed = "maintenance" if row.maintenance else ""
            if row.allow_unauthenticated_public_requests is False:
                closed = ERROR_MESSAGES[11056]
            return self._status.set_issue("closed", closed)
        locked = row.locked not in (None, False, "false")
        if row.price_index not in self._indices or locked == (row.price_index in self._locked):
            return []
        (self._locked.add if locked else self._locked.discard)(row.price_index)
        reason = f"locked by the venue: {', '.join(sorted(self._locked))}" if self._locked else ""
        return self._status.set_issue("locked", reason)

    def poll_status(self, now_ns: int, rpc: JsonRpcClient) -> None:
        """Requests the venue's status while it is closed or locked."""
        if is_time_reached(now_ns, self._next_status_ns, _STATUS_INTERVAL):
            self._next_status_ns = now_ns + _STATUS_INTERVAL
            self._status_request_id = rpc.request("public/status")

    def is_status_response(self, request_id: int | None) -> bool:
        return request_id is not None and request_id == self._status_request_id

    def on_status_response(self, locked: bool | str | None) -> list[FeedStatus]:
        self._status_request_id = None
        if locked not in ("false", False):
            return []
        self._locked.clear()
        return [*self._status.set_issue("locked", ""), *self._status.set_issue("closed", "")]
