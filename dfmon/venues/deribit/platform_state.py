"""When the whole venue or one of its indices stands still: what its notices say, and the question whether that is over.

Some hundred notices a minute say that nothing is locked; only a change of ours is worth a word.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from dfmon.model.events import FeedStatus
from dfmon.model.units import SECOND
from dfmon.venues.deribit import wire
from dfmon.venues.deribit.jsonrpc import WORDS, Session
from dfmon.venues.health.status import Status

_ASK_EVERY: Final = 10 * SECOND


class Halts:
    """Complaints `closed` and `locked` of a connection's status; `indices` are ours."""

    def __init__(self, status: Status, indices: Collection[str]) -> None:
        self._status, self._indices = status, indices
        self._locked: set[str] = set()
        self._asked: int | None = None
        self._ask_ns = 0

    def restart(self) -> None:
        self._locked.clear()
        self._asked = None

    @property
    def standing_still(self) -> bool:
        return self._status.stands("closed") or self._status.stands("locked")

    def heard(self, row: wire.PlatformState) -> list[FeedStatus]:
        """A notice of the venue."""
        if row.maintenance is not None or row.allow_unauthenticated_public_requests is not None:
            closed = "maintenance" if row.maintenance else ""
            if row.allow_unauthenticated_public_requests is False:
                closed = WORDS[11056]
            return self._status.complain("closed", closed)
        locked = row.locked not in (None, False, "false")
        if row.price_index not in self._indices or locked == (row.price_index in self._locked):
            return []
        (self._locked.add if locked else self._locked.discard)(row.price_index)
        reason = f"locked by the venue: {', '.join(sorted(self._locked))}" if self._locked else ""
        return self._status.complain("locked", reason)

    def ask(self, now_ns: int, session: Session) -> None:
        """Ask whether it is over."""
        if now_ns >= self._ask_ns:
            self._ask_ns = now_ns + _ASK_EVERY
            self._asked = session.request("public/status")

    def asked(self, number: int | None) -> bool:
        return number is not None and number == self._asked

    def answered(self, locked: bool | str | None) -> list[FeedStatus]:
        self._asked = None
        if locked not in ("false", False):
            return []
        self._locked.clear()
        return [*self._status.complain("locked", ""), *self._status.complain("closed", "")]
