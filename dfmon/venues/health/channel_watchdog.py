"""Silence of single channels: a socket may bring frames by the hundred while one channel has died on it.

A protocol tells what it expects and what it heard, and reads `check` once a second. A channel that is silent for longer
than it should be is first subscribed anew, then the connection is given up; if that does not help either, it is only
named, since the fault is the venue's. Heartbeats and acknowledgements are no data and never come here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dfmon.model.units import DAY, MINUTE, SECOND
from dfmon.venues.health.status import join_names

_SETTLEMENT_START: Final = (7 * 60 + 59) * MINUTE  # of the day: the daily settlement pauses trading for seconds
_SETTLEMENT_END: Final = (8 * 60 + 2) * MINUTE
_SETTLEMENT_GRACE: Final = 30 * SECOND


@dataclass(slots=True)
class _ChannelState:
    max_silence_ns: int
    critical: bool
    last_data_ns: int = 0  # 0: the wait begins with the next look
    resubscribed: bool = False


class ChannelWatchdog:
    """Times are nanoseconds. `failure_reason` says why the connection should be given up, or nothing."""

    def __init__(self) -> None:
        self.failure_reason = ""
        self._channels: dict[str, _ChannelState] = {}
        self._active: set[str] = set()
        self._reconnect_tried: set[str] = set()  # a new connection was made for these already
        self.on_data: Callable[[str], None] = self._active.add

    def restart(self) -> None:
        """A new connection: nothing is expected yet."""
        self.failure_reason = ""
        self._channels.clear()
        self._active.clear()

    def expect(self, channel: str, max_silence_ns: int, *, critical: bool = True) -> None:
        """From now on `channel` should speak at least every `max_silence_ns`; a new connection is made for vital
        ones.
        """
        if channel not in self._channels:
            self._channels[channel] = _ChannelState(max_silence_ns, critical)

    def reset_timers(self) -> None:
        """The venue says that it stands still: all waits begin anew."""
        for state in self._channels.values():
            state.last_data_ns = 0

    def remove(self, channel: str) -> None:
        self._channels.pop(channel, None)
        self._reconnect_tried.discard(channel)

    def check(self, now_ns: int) -> tuple[list[str], str]:
        """Channels to subscribe anew now, and a sentence about all that are silent."""
        for channel in self._active:
            state = self._channels.get(channel)
            if state is not None:
                state.last_data_ns, state.resubscribed = now_ns, False
                self._reconnect_tried.discard(channel)
        self._active.clear()
        to_resubscribe: list[str] = []
        silent: list[str] = []
        for channel, state in self._channels.items():
            state.last_data_ns = state.last_data_ns or now_ns
            age, limit_ns = now_ns - state.last_data_ns, _silence_limit_ns(state, now_ns)
            if age < limit_ns:
                continue
            silent.append(f"{channel} silent for {age // SECOND} s")
            if not state.resubscribed:
                state.resubscribed = True
                to_resubscribe.append(channel)
            elif age >= 2 * limit_ns and state.critical and channel not in self._reconnect_tried:
                self._reconnect_tried.add(channel)
                self.failure_reason = silent[-1]
        return to_resubscribe, join_names(silent)


def _silence_limit_ns(state: _ChannelState, now_ns: int) -> int:
    time_of_day = now_ns % DAY
    return (
        max(state.max_silence_ns, _SETTLEMENT_GRACE)
        if _SETTLEMENT_START <= time_of_day < _SETTLEMENT_END
        else state.max_silence_ns
    )
