"""Silence of single channels: a socket may bring frames by the hundred while one channel has died on it.

A protocol tells what it expects and what it heard, and reads `due` once a second. A channel that is silent for longer
than it should be is first subscribed anew, then the connection is given up; if that does not help either, it is only
named, since the fault is the venue's. Heartbeats and acknowledgements are no data and never come here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dfmon.model.units import DAY, MINUTE, SECOND
from dfmon.venues.health.status import listed

_ROLL_FROM: Final = (7 * 60 + 59) * MINUTE  # of the day: the daily settlement pauses trading for seconds
_ROLL_TO: Final = (8 * 60 + 2) * MINUTE
_ROLL_PATIENCE: Final = 30 * SECOND


@dataclass(slots=True)
class _Watch:
    within_ns: int
    vital: bool
    heard_ns: int = 0  # 0: the wait begins with the next look
    mended: bool = False


class Watchdog:
    """Times are nanoseconds. `broken` says why the connection should be given up, or nothing."""

    def __init__(self) -> None:
        self.broken = ""
        self._watched: dict[str, _Watch] = {}
        self._fresh: set[str] = set()
        self._hopeless: set[str] = set()  # a new connection was made for these already
        self.heard: Callable[[str], None] = self._fresh.add

    def restart(self) -> None:
        """A new connection: nothing is expected yet."""
        self.broken = ""
        self._watched.clear()
        self._fresh.clear()

    def expect(self, channel: str, within_ns: int, *, vital: bool = True) -> None:
        """From now on `channel` should speak at least every `within_ns`; a new connection is made for vital ones."""
        if channel not in self._watched:
            self._watched[channel] = _Watch(within_ns, vital)

    def hold(self) -> None:
        """The venue says that it stands still: all waits begin anew."""
        for watch in self._watched.values():
            watch.heard_ns = 0

    def forget(self, channel: str) -> None:
        self._watched.pop(channel, None)
        self._hopeless.discard(channel)

    def due(self, now_ns: int) -> tuple[list[str], str]:
        """Channels to subscribe anew now, and a sentence about all that are silent."""
        for channel in self._fresh:
            watch = self._watched.get(channel)
            if watch is not None:
                watch.heard_ns, watch.mended = now_ns, False
                self._hopeless.discard(channel)
        self._fresh.clear()
        again: list[str] = []
        silent: list[str] = []
        for channel, watch in self._watched.items():
            watch.heard_ns = watch.heard_ns or now_ns
            age, patience = now_ns - watch.heard_ns, _patience(watch, now_ns)
            if age < patience:
                continue
            silent.append(f"{channel} silent for {age // SECOND} s")
            if not watch.mended:
                watch.mended = True
                again.append(channel)
            elif age >= 2 * patience and watch.vital and channel not in self._hopeless:
                self._hopeless.add(channel)
                self.broken = silent[-1]
        return again, listed(silent)


def _patience(watch: _Watch, now_ns: int) -> int:
    at = now_ns % DAY
    return max(watch.within_ns, _ROLL_PATIENCE) if _ROLL_FROM <= at < _ROLL_TO else watch.within_ns
