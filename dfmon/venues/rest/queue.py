"""The GETs a protocol wants: one per tag at a time, and failed ones asked again with growing patience.

Every protocol owns one. It knows no clock: a failed call waits for the next `due`, which brings the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dfmon.model.units import SECOND
from dfmon.venues.protocol import RestCall

_FIRST_WAIT: Final = 5 * SECOND
_LONGEST_WAIT: Final = 60 * SECOND


@dataclass(slots=True)
class _Asked:
    call: RestCall
    retry: bool
    failures: int = 0
    failed: bool = False
    again_ns: int = 0


class RestQueue:
    """Calls to make, calls under way, calls that failed."""

    def __init__(self) -> None:
        self._out: list[RestCall] = []
        self._asked: dict[str, _Asked] = {}

    def ask(self, tag: str, path: str, *, retry: bool = True, cost: float = 1.0, **params: str | int) -> None:
        """Queue a call; nothing happens while one of the same tag is open."""
        if tag in self._asked:
            return
        call = RestCall(tag, path, tuple((key, str(value)) for key, value in params.items()), cost)
        self._asked[tag] = _Asked(call, retry)
        self._out.append(call)

    def answered(self, tag: str) -> None:
        self._asked.pop(tag, None)

    def failed(self, tag: str) -> None:
        """The call came back empty: ask again later, or forget it where a newer one will come anyway."""
        asked = self._asked.get(tag)
        if asked is None:
            return
        if not asked.retry:
            del self._asked[tag]
            return
        asked.failures += 1
        asked.failed, asked.again_ns = True, 0

    def due(self, now_ns: int) -> None:
        """Release the failed calls whose wait is over."""
        for asked in self._asked.values():
            if not asked.failed:
                continue
            if not asked.again_ns:
                asked.again_ns = now_ns + min(_LONGEST_WAIT, _FIRST_WAIT << min(asked.failures - 1, 8))
            elif asked.again_ns <= now_ns:
                asked.failed = False
                self._out.append(asked.call)

    def open(self, tag: str) -> bool:
        """Whether a call of this tag is queued, under way or waiting."""
        return tag in self._asked

    def clear(self) -> None:
        self._out.clear()
        self._asked.clear()

    def take(self) -> list[RestCall]:
        out, self._out = self._out, []
        return out
