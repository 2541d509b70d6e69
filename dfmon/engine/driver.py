"""The single writer: numbers every record, journals it, applies it, and requests a snapshot at each tick.

Live, the connections call `connected`, `frame`, `response`, `lost` and `timer`, and a clock calls `request_tick`. In
a replay the replayer calls `apply` with the records of the journal. Nothing else differs: a tick is journalled only
when the worker is free to compute it, so a replay computes exactly the ticks that were computed, and equal records
give equal snapshots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from dfmon.core.step import FlowParams, FlowState, step
from dfmon.engine.chain import ChainState
from dfmon.engine.checkpoint import decode_checkpoint, find_resume_point
from dfmon.engine.feed_tracker import FeedTracker, disabled_feed
from dfmon.engine.journal import Record, RecordKind, encode_rest
from dfmon.engine.market import MarketState
from dfmon.engine.stored_options import StoredOptions
from dfmon.engine.what_if import TickInputs, keep_inputs
from dfmon.model.events import Event, FeedState, OptionTrade, OptionTradeHistory, Rejected
from dfmon.model.frames import ChainFrame, ExpectedMarket, MarketFrame
from dfmon.model.snapshot import FlowSnapshot

COMPILED_SOURCE: Final = "compiled"  # the source of the record with which compiled kernels take over


class Decoder(Protocol):
    """The part of a venue protocol that the driver needs."""

    def connection_made(self, now_ns: int) -> Sequence[Event]: ...
    def frame_received(self, frame: bytes) -> Sequence[Event]: ...
    def response_received(self, tag: str, body: bytes) -> Sequence[Event]: ...
    def connection_lost(self, reason: str) -> Sequence[Event]: ...
    def on_timer(self, now_ns: int) -> Sequence[Event]: ...
    def data_to_send(self) -> Sequence[object]: ...
    def rest_calls(self) -> Sequence[object]: ...


class Worker(Protocol):
    """Runs one computation at a time and returns its result on the driver's thread."""

    @property
    def busy(self) -> bool: ...
    def submit(self, job: Callable[[], None], done: Callable[[], None]) -> None: ...


class InlineWorker:
    """Computes immediately, on the caller's thread: for replay, tests and single snapshots."""

    busy = False

    def submit(self, job: Callable[[], None], done: Callable[[], None]) -> None:
        job()
        done()


_EventHandler = Callable[[Any, int], None]


class _EventRoutes(dict[type[Event], tuple[_EventHandler, ...]]):
    """Handlers of each kind of event, resolved once a kind."""

    def __init__(self, states: Sequence[ChainState | MarketState], on_rejected: _EventHandler) -> None:
        self._states = states
        self[Rejected] = (on_rejected,)

    def __missing__(self, kind: type[Event]) -> tuple[_EventHandler, ...]:
        handlers = tuple(handler for state in self._states if (handler := state.handler(kind)) is not None)
        self[kind] = handlers
        return handlers


class DriverState(NamedTuple):
    """Full state of a driver. `flow` is immutable and may be shared; `attributes` must be copied before it is stored.

    `attributes` includes the decoders: their connection state decides how the next frame is decoded.
    """

    flow: Mapping[str, FlowState]
    attributes: Mapping[str, Any]


_INJECTED: Final = (
    "publish",
    "_worker",
    "_journal",
    "_report",
    "_flow",
    "_routes",
    "_options_sources",
    "_disabled_feeds",
)


class Driver:
    """All state of a session. Every method is called from one thread."""

    def __init__(
        self,
        underlyings: tuple[str, ...],
        params: FlowParams,
        decoders: Mapping[str, Decoder],
        publish: Callable[[FlowSnapshot], None],
        worker: Worker | None = None,
        journal: Callable[[Record], None] | None = None,
        report: Callable[[Exception], None] | None = None,
        on_trade: Callable[[OptionTrade | OptionTradeHistory], None] | None = None,
        *,
        options_sources: Sequence[str] = (),
        expected_markets: Sequence[ExpectedMarket] = (),
        options_venue: str = "",
        disabled_venues: Sequence[str] = (),
    ) -> None:
        """`on_trade` receives every option print and every full history once it has been applied.

        `options_venue` is the title of the options venue, `disabled_venues` are those without a connection by the
        configuration: snapshots name both.
        """
        self.underlyings = underlyings
        self.params = params
        self.overruns = 0
        self._decoders, self._options_sources = decoders, tuple(options_sources)
        self.publish = publish
        self._worker: Worker = worker or InlineWorker()
        self._journal = journal
        self._report = report
        self._chains = ChainState(underlyings, venue=options_venue)
        self._markets = MarketState(underlyings, tuple(expected_markets))
        self._routes = _EventRoutes((self._chains, self._markets), self._on_rejected)
        if on_trade is not None:
            for kind in (OptionTrade, OptionTradeHistory):
                self._routes[kind] = (*self._routes[kind], lambda event, _: on_trade(event))
        self._feeds = {source: FeedTracker(source) for source in decoders}
        self._disabled_feeds = tuple(map(disabled_feed, disabled_venues))
        self._flow = {name: FlowState.initial() for name in underlyings}
        self._seq = 0
        self.ticks = 0
        self.frames = 0

    # ---- records in ------------------------------------------------------------------------------------------

    def ingest(self, kind: RecordKind, source: str, recv_ns: int, payload: bytes) -> None:
        """Numbers a record, journals it and applies it."""
        self._seq += 1
        record = Record(self._seq, recv_ns, kind, source, payload)
        if self._journal is not None:
            self._journal(record)
        self.apply(record)

    def connected(self, source: str, recv_ns: int) -> None:
        self.ingest(RecordKind.CONNECTED, source, recv_ns, b"")

    def frame(self, source: str, recv_ns: int, frame: bytes) -> None:
        """Frames come by the thousand a second, so this is `ingest` and `apply` in one."""
        self._seq += 1
        if self._journal is not None:
            self._journal(Record(self._seq, recv_ns, RecordKind.FRAME, source, frame))
        if source in self._decoders:
            self._apply_frame(source, recv_ns, frame)

    def response(self, source: str, recv_ns: int, tag: str, body: bytes) -> None:
        self.ingest(RecordKind.REST, source, recv_ns, encode_rest(tag, body))

    def lost(self, source: str, recv_ns: int, reason: str) -> None:
        self.ingest(RecordKind.LOST, source, recv_ns, reason.encode())

    def timer(self, source: str, now_ns: int, runner_note: str = "") -> None:
        """Records that a second of a connection has passed; `runner_note` is the status text of its runner."""
        self.ingest(RecordKind.TIMER, source, now_ns, runner_note.encode())

    def request_tick(self, now_ns: int) -> None:
        """Requests a snapshot of every underlying, unless the last one is still being computed."""
        if self._worker.busy:
            self.overruns += 1  # not recorded, so a replay skips it too
            return
        self.ingest(RecordKind.TICK, "", now_ns, b"")

    def set_params(self, params: FlowParams, now_ns: int) -> None:
        """Changes the parameters from the next tick, as a record like any other."""
        self.ingest(RecordKind.PARAMS, "", now_ns, msgspec.json.encode(params))

    def use_compiled(self, now_ns: int) -> None:
        """Prices with the compiled kernels from the next tick. A separate record, so other parameters stay as set."""
        self.ingest(RecordKind.PARAMS, COMPILED_SOURCE, now_ns, b"")

    def apply(self, record: Record) -> None:
        """Applies one record, live or replayed. A source without decoder is ignored."""
        if record.kind is RecordKind.TICK:
            self._tick(record.recv_ns)
        elif record.kind is RecordKind.PARAMS:
            if record.source == COMPILED_SOURCE:
                self.params = msgspec.structs.replace(self.params, compiled=True)
            else:
                self.params = msgspec.json.decode(record.payload, type=FlowParams)
        elif record.kind is RecordKind.GAP:
            self._chains.mark_gap(record.recv_ns)
            self._apply_gap(record)
        elif record.kind is RecordKind.STATE:
            self._restore(record)
        elif record.source in self._decoders:
            if record.kind is RecordKind.FRAME:
                self._apply_frame(record.source, record.recv_ns, record.payload)
            else:
                self._apply_venue(record, self._decoders[record.source], self._feeds[record.source])

    def _restore(self, record: Record) -> None:
        """Restores the state of an earlier run, and gives the decoder the resume point of its prints."""
        checkpoint, states, options, _ = decode_checkpoint(record.payload)
        followed = {name: state for name, state in states.items() if name in self._flow}
        self._flow |= followed
        for name in followed.keys() & options.keys():
            self._chains.restore_options(options[name], record.recv_ns)
        resume_point = find_resume_point(
            (state.book for state in followed.values()),
            {name: entry.newest_ms for name, entry in checkpoint.underlyings.items()},
        )
        if (restored := getattr(self._decoders.get(record.source), "restore", None)) is not None:
            restored(resume_point.last_seq, resume_point.full_history, resume_point.newest_ms)

    def flow_states(self) -> dict[str, FlowState]:
        """State by underlying, as of the last computed tick."""
        return dict(self._flow)

    def stored_options(self) -> dict[str, StoredOptions]:
        """Data of the options by underlying, as of the last tick."""
        return {name: self._chains.stored_options(name) for name in self.underlyings}

    def discard_outgoing(self) -> None:
        """Drops outgoing data of the decoders: a replay has no receiver, and it must not accumulate."""
        for decoder in self._decoders.values():
            decoder.data_to_send()
            decoder.rest_calls()

    def _apply_frame(self, source: str, recv_ns: int, frame: bytes) -> None:
        feed, routes = self._feeds[source], self._routes
        feed.frames += 1
        self.frames += 1
        events = self._decoders[source].frame_received(frame)
        for event in events:
            feed.on_event(event, recv_ns)
        for event in events:
            for apply in routes[type(event)]:
                apply(event, recv_ns)

    def _apply_venue(self, record: Record, decoder: Decoder, feed: FeedTracker) -> None:
        recv_ns = record.recv_ns
        events: Sequence[Event] = ()
        match record.kind:
            case RecordKind.REST:
                events = decoder.response_received(*record.decode_rest())
            case RecordKind.CONNECTED:
                feed.connected()
                events = decoder.connection_made(recv_ns)
            case RecordKind.LOST:
                reason = record.payload.decode("utf-8", "replace")
                events = decoder.connection_lost(reason)
                feed.lost(reason)
            case RecordKind.TIMER:
                feed.on_timer(recv_ns, record.payload.decode("utf-8", "replace"))
                events = decoder.on_timer(recv_ns)
        for event in events:
            feed.on_event(event, recv_ns)
        self.apply_events(events, recv_ns)

    def _apply_gap(self, gap: Record) -> None:
        """Treats missing records as a lost connection, since the state may have changed meanwhile."""
        reason = f"{gap.payload.decode('utf-8', 'replace')} records are missing here"
        for source, decoder in self._decoders.items():
            if self._feeds[source].state not in (FeedState.CONNECTING, FeedState.DOWN):
                for kind, payload in ((RecordKind.LOST, reason.encode()), (RecordKind.CONNECTED, b"")):
                    record = Record(gap.seq, gap.recv_ns, kind, source, payload)
                    self._apply_venue(record, decoder, self._feeds[source])

    def apply_events(self, events: Iterable[Event], recv_ns: int) -> None:
        """Applies decoded events; recorded boards enter here, since they are events already."""
        for event in events:
            for apply in self._routes[type(event)]:
                apply(event, recv_ns)

    def _on_rejected(self, event: Any, _recv_ns: int) -> None:
        """Counts rejected data of an options venue or a board for the snapshot."""
        if event.source == "board" or event.source in self._options_sources:
            self._chains.count_rejected("", event.what)

    def by_open_interest(self) -> list[str]:
        """Live options, the largest open interest first."""
        return self._chains.by_open_interest()

    # ---- state -------------------------------------------------------------------------------------------------

    def state(self) -> DriverState:
        """Everything the next snapshot depends on, by reference. Call between two records with an idle worker."""
        attributes = {name: value for name, value in vars(self).items() if name not in _INJECTED}
        return DriverState(dict(self._flow), attributes)

    def resume(self, state: DriverState) -> None:
        """Replaces the whole state by `state`, which the driver then owns."""
        self._flow = dict(state.flow)
        vars(self).update(state.attributes)
        self._routes = _EventRoutes((self._chains, self._markets), self._on_rejected)

    # ---- snapshots out ---------------------------------------------------------------------------------------

    def tick(self, ts_ns: int, underlying: str) -> None:
        """Computes one underlying at `ts_ns`; a recorded board is one tick of one underlying."""
        self._compute([self._freeze(underlying, ts_ns)])

    def _tick(self, ts_ns: int) -> None:
        self._compute([self._freeze(name, ts_ns) for name in self.underlyings])

    def _freeze(self, underlying: str, ts_ns: int) -> tuple[ChainFrame, MarketFrame]:
        clock_ns = next(filter(None, (self._feeds[source].clock.offset_ns for source in self._options_sources)), 0)
        return self._chains.freeze(underlying, ts_ns, clock_ns), self._markets.freeze(underlying, ts_ns)

    def _compute(self, frames: list[tuple[ChainFrame, MarketFrame]]) -> None:
        self.ticks += 1
        ts_ns, seq, params = frames[0][0].ts_ns, self.ticks, self.params
        feeds = tuple(
            feed.health(ts_ns, self._chains.drift if source in self._options_sources else None)
            for source, feed in self._feeds.items()
        )
        feeds += self._disabled_feeds
        results: list[tuple[str, FlowState, FlowSnapshot]] = []

        def job() -> None:
            for chain, market in frames:
                try:
                    inputs = TickInputs(self._flow[chain.underlying], chain, market, feeds, params, seq)
                    state, snapshot = step(*inputs)
                except Exception as exc:  # the last snapshot stays and ages; data keeps flowing
                    if self._report is None:
                        raise
                    self._report(exc)
                else:
                    keep_inputs(snapshot, inputs)
                    results.append((chain.underlying, state, snapshot))

        def done() -> None:
            computed = {underlying for underlying, _, _ in results}
            for chain, _ in frames:
                (self._chains.commit_drained if chain.underlying in computed else self._chains.restore_drained)(
                    chain.underlying
                )
            for underlying, state, snapshot in results:
                self._flow[underlying] = state
                self.publish(snapshot)

        self._worker.submit(job, done)
