"""Silence of single channels: a socket may bring hundreds of frames while one of its channels is dead.

A protocol states the channels that it expects, reports their data, and calls `check` once a second. A channel that is
silent beyond its limit is resubscribed, then the connection is replaced; if that does not help either, it is only
reported, since the fault is the venue's. Heartbeats and acknowledgements are not data.
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
    last_data_ns: int = 0  # 0: counts from the next check
    resubscribed: bool = False


class ChannelWatchdog:
    """Times are nanoseconds. `failure_reason` is why the connection should be replaced, or empty."""

    def __init__(self) -> None:
        self.failure_reason = ""
        self._channels: dict[str, _ChannelState] = {}
        self._active: set[str] = set()
        self._reconnect_tried: set[str] = set()  # the connection was already replaced for these
        self.on_data: Callable[[str], None] = self._active.add

    def restart(self) -> None:
        """A new connection: nothing is expected yet."""
        self.failure_reason = ""
        self._channels.clear()
        self._active.clear()

    def expect(self, channel: str, max_silence_ns: int, *, critical: bool = True) -> None:
        """Expect data on `channel` at least every `max_silence_ns`; only critical ones replace the connection."""
        if channel not in self._channels:
            self._channels[channel] = _ChannelState(max_silence_ns, critical)

    def reset_timers(self) -> None:
        """The venue has announced a halt: all silences count from now."""
        for state in self._channels.values():
            state.last_data_ns = 0

    def remove(self, channel: str) -> None:
        self._channels.pop(channel, None)
        self._reconnect_tried.discard(channel)

    def check(self, now_ns: int) -> tuple[list[str], str]:
        """Returns the channels to resubscribe now, and a sentence about all that are silent."""
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
