"""A capture of another program as a source: its messages become the records that dfmon would have made of them.

Protocols of our own process the messages too, to find out which REST calls they would make and when: each call gets the
captured response that matches it. There is a tick at every second of receive time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.engine.journal import Record, RecordKind, encode_rest
from dfmon.model.errors import SourceError, UsageError
from dfmon.model.units import HOUR, SECOND, sanitize
from dfmon.replay.sources import BEGINNING, Publish, ReplayStep, SourceCursor, apply_record
from dfmon.store.capture_messages import CapturedMessage
from dfmon.store.captures import CaptureReader
from dfmon.venues import registry
from dfmon.venues.options import options_venues
from dfmon.venues.protocol import Endpoint, RestCall, VenueProtocol

# The underlying of a frame that dfmon can decode.
_UNDERLYING_PATTERN: Final = re.compile(
    rb'"stream":"([a-z0-9]{2,10})usdt@|"instId":"([A-Z0-9]{2,10})-USDT(?:-SWAP)?"|"channel":"[a-z_]+\.([A-Z]{2,10})[-_]'
)
_PROBE_LINES: Final = 5_000  # lines from which the underlyings are detected
_MAX_SILENT_NS: Final = HOUR  # ticks of a longer silence are left out
_MAX_RESPONSE_BYTES: Final = 1 << 26  # of responses that a call may still get
_IGNORED_PARAMS: Final = frozenset({"limit", "count"})  # a captured book may have another depth than ours


class CaptureSource:
    """Captured frames decoded by the venues' protocols. Damage is a SourceError after the last readable line."""

    kind: ClassVar = "capture"
    session: ClassVar = ""

    def __init__(self, path: Path, underlyings: tuple[str, ...] | None, params: FlowParams) -> None:
        self.path, self.params = path, params
        self._reader = CaptureReader(path)
        self._span: tuple[int, int] | None = None
        self.underlyings = underlyings or self._detect_underlyings()

    def driver(self, publish: Publish) -> Driver:
        endpoints = self._endpoints()
        decoders = {endpoint.source: endpoint.protocol for endpoint in endpoints}
        return Driver(
            self.underlyings,
            self.params,
            decoders,
            publish,
            options_sources=tuple(options_venues(endpoints)),
            expected_markets=registry.expected_markets(tuple(decoders)),
            options_venue=registry.options_title(tuple(decoders)),
        )

    def span(self) -> tuple[int, int]:
        if self._span is None:
            first = last = 0
            for message in self._readable_messages():
                first, last = first or message.recv_ns, max(last, message.recv_ns)
            self._span = first, last + SECOND
        return self._span

    def steps(self, after: SourceCursor = BEGINNING) -> Iterator[ReplayStep]:
        for record in self.records():
            cursor = (0, record.seq)
            if cursor > after:
                yield ReplayStep(
                    record.recv_ns, record.recv_ns, cursor, apply_record(record), record.kind is RecordKind.TICK
                )

    def records(self) -> Iterator[Record]:
        """The records that a session with the same messages would have written."""
        protocols = {endpoint.source: endpoint.protocol for endpoint in self._endpoints()}
        return _RecordTranslator(protocols).records(self._reader.messages())

    def _endpoints(self) -> list[Endpoint]:
        return registry.endpoints(self.underlyings, self._reader.sources)

    def _readable_messages(self) -> Iterator[CapturedMessage]:
        """The readable lines; damage is reported by a replay when it has reached the end."""
        with suppress(SourceError):
            yield from self._reader.messages()

    def _detect_underlyings(self) -> tuple[str, ...]:
        """The underlyings of the frames, in order of first appearance."""
        found: dict[str, None] = {}
        for message in islice(self._readable_messages(), _PROBE_LINES):
            if message.kind == "frame" and (name_match := _UNDERLYING_PATTERN.search(message.data)):
                found[next(name for name in name_match.groups() if name).decode().upper()] = None
        if not found:
            raise UsageError(f"{sanitize(str(self.path))} has no market that dfmon reads")
        return tuple(found)


class _RecordTranslator:
    """Makes numbered records of messages, and matches responses to the calls of its protocols."""

    def __init__(self, protocols: Mapping[str, VenueProtocol]) -> None:
        self._protocols = protocols
        self._seq = 0
        self._responses: dict[int, CapturedMessage] = {}
        self._response_count = self._response_bytes = 0
        self._pending_calls: list[tuple[str, RestCall]] = []
        self._delivered: set[tuple[int, str, tuple[tuple[str, str], ...]]] = set()

    def records(self, messages: Iterator[CapturedMessage]) -> Iterator[Record]:
        next_tick = now_ns = 0
        for message in messages:
            now_ns = max(message.recv_ns, now_ns)
            if not next_tick or now_ns - next_tick > _MAX_SILENT_NS:
                next_tick = (now_ns // SECOND + 1) * SECOND
            while now_ns >= next_tick:
                yield from self._tick_second(next_tick)
                next_tick += SECOND
            if message.kind == "response":
                self._add_response(message)
                yield from self._deliver_responses(now_ns)
            else:
                kind = RecordKind.FRAME if message.kind == "frame" else RecordKind.CONNECTED
                yield from self._record(kind, message.source, now_ns, message.data)
        if next_tick:
            yield from self._tick_second(next_tick)

    def _add_response(self, message: CapturedMessage) -> None:
        """Keeps a response for a call, and drops the oldest ones beyond the bound."""
        self._responses[self._response_count] = message
        self._response_count += 1
        self._response_bytes += len(message.data)
        while self._response_bytes > _MAX_RESPONSE_BYTES and len(self._responses) > 1:
            self._response_bytes -= len(self._responses.pop(next(iter(self._responses))).data)

    def _tick_second(self, at_ns: int) -> Iterator[Record]:
        for source in self._protocols:
            yield from self._record(RecordKind.TIMER, source, at_ns, b"")
        self._seq += 1
        yield Record(self._seq, at_ns, RecordKind.TICK, "", b"")

    def _record(self, kind: RecordKind, source: str, at_ns: int, payload: bytes) -> Iterator[Record]:
        self._seq += 1
        record = Record(self._seq, at_ns, kind, source, payload)
        protocol = self._protocols[source]
        match kind:
            case RecordKind.FRAME:
                protocol.frame_received(payload)
            case RecordKind.CONNECTED:
                protocol.connection_made(at_ns)
            case RecordKind.TIMER:
                protocol.on_timer(at_ns)
            case _:
                protocol.response_received(*record.decode_rest())
        protocol.data_to_send()
        yield record
        calls = protocol.rest_calls()
        if calls:
            self._pending_calls += [(source, call) for call in calls]
            yield from self._deliver_responses(at_ns)

    def _deliver_responses(self, at_ns: int) -> Iterator[Record]:
        """Responses to pending calls. Each response is used once a call: a book requested again must be newer."""
        while (found := self._next_match()) is not None:
            index, (source, call) = found
            self._pending_calls.remove((source, call))
            self._delivered.add((index, call.path, call.params))
            body = _filter_kind(self._responses[index].data, dict(call.params).get("kind"))
            yield from self._record(RecordKind.REST, source, at_ns, encode_rest(call.tag, body))

    def _next_match(self) -> tuple[int, tuple[str, RestCall]] | None:
        for source, call in self._pending_calls:
            for index, message in self._responses.items():
                if (index, call.path, call.params) not in self._delivered and _is_response_to(call, message.url):
                    return index, (source, call)
        return None


def _is_response_to(call: RestCall, url: str) -> bool:
    try:
        url_parts = urlsplit(url)
        query = dict(parse_qsl(url_parts.query, max_num_fields=1_000))
    except ValueError:
        return False
    params_match = all(query.get(key, value) == value for key, value in call.params if key not in _IGNORED_PARAMS)
    return url_parts.path.endswith(call.path) and params_match


def _filter_kind(body: bytes, kind: str | None) -> bytes:
    """The requested kind of instruments; captures have listings of all kinds in one."""
    if kind is None:
        return body
    try:
        response = msgspec.json.decode(body)
        response["result"] = [row for row in response["result"] if row.get("kind", kind) == kind]
    except (msgspec.DecodeError, TypeError, KeyError, AttributeError, UnicodeDecodeError):
        return body
    return msgspec.json.encode(response)
