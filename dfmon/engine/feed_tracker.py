"""Health of each connection, from the records alone: state, age of its data, latency, counts."""

from __future__ import annotations

from dfmon.engine.greek_drift import GreekDrift
from dfmon.engine.venue_clock import VenueClock
from dfmon.model.events import BookLost, ClockReading, Event, FeedState, FeedStatus, RawTicker, Rejected
from dfmon.model.frames import FeedHealth
from dfmon.model.units import MILLISECOND, MINUTE, NAN, SECOND

_SMOOTHING = 0.05  # weight of the newest latency in its running mean
_NO_DATA = (FeedStatus, Rejected, ClockReading, BookLost)


class FeedTracker:
    """Counts and times of one source. Updated on every record, read at every tick."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.state = FeedState.CONNECTING
        self.reason = ""
        self._disconnected = False
        self.runner_note = ""
        self.clock = VenueClock()
        self.frames = self.rejected = self.reconnects = 0
        self._data_ns = 0
        self._lag_ms = NAN

    def connected(self) -> None:
        self.state, self.reason, self._disconnected = FeedState.SYNCING, "", False
        self._lag_ms = NAN

    def lost(self, reason: str) -> None:
        if not self._disconnected:  # failed reconnects belong to the same loss
            self.reconnects += 1
        self.state, self.reason, self._disconnected = FeedState.DOWN, reason, True

    def on_timer(self, now_ns: int, runner_note: str) -> None:
        """A second has passed; `runner_note` is the status text of the connection's runner."""
        self.runner_note = runner_note
        self.clock.on_timer(now_ns)

    def on_event(self, event: Event, recv_ns: int) -> None:
        """Updates data times, state and counts from a decoded event."""
        if isinstance(event, _NO_DATA):
            self._on_status(event, recv_ns)
            return
        self._data_ns = recv_ns
        if self.state is FeedState.SYNCING:
            self.state = FeedState.LIVE
        # RawTicker is the busiest event: reading its property would add a call per frame
        exch_ns = event.exch_ms * MILLISECOND if isinstance(event, RawTicker) else getattr(event, "exch_ns", 0)
        if exch_ns:
            latency_ns, clock = recv_ns - exch_ns, self.clock
            if latency_ns < clock.min_latency_ns or recv_ns // MINUTE != clock.minute:
                clock.add_latency(latency_ns, recv_ns)
            lag = latency_ns / MILLISECOND
            self._lag_ms = lag if self._lag_ms != self._lag_ms else self._lag_ms + _SMOOTHING * (lag - self._lag_ms)

    def _on_status(self, event: Event, recv_ns: int) -> None:
        if isinstance(event, FeedStatus):
            self.state, self.reason = event.state, event.reason
        elif isinstance(event, Rejected):
            self.rejected += 1
        elif isinstance(event, ClockReading):
            self.clock.add_reading(event, recv_ns)

    def health(self, ts_ns: int, drift: GreekDrift | None = None) -> FeedHealth:
        """Health as of `ts_ns`; `drift` where this source publishes greeks of its own."""
        self._data_ns = min(self._data_ns, ts_ns)  # where our clock was set back, the age counts from now
        status_text = (
            self.reason,
            self.runner_note,
            self.clock.status_text(),
            "" if drift is None else drift.status_text(),
        )
        return FeedHealth(
            source=self.source,
            state=self.state,
            age_s=(ts_ns - self._data_ns) / SECOND if self._data_ns else NAN,
            lag_ms=self._lag_ms,
            frames=self.frames,
            rejected=self.rejected,
            reconnects=self.reconnects,
            reason="; ".join(filter(None, status_text)),
            clock_ms=self.clock.offset_ms,
            greeks=(0, 0) if drift is None else drift.counts,
        )


def disabled_feed(venue: str) -> FeedHealth:
    """The row of a venue that the configuration disables."""
    return FeedHealth(venue, FeedState.DISABLED, NAN, NAN, 0, 0, 0, "disabled in the configuration")
