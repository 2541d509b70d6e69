"""A capture of another program as a source: its lines become the records that dfmon would have made of them.

Comes after `store.captures`. Protocols of our own listen along, to learn which of the captured answers they would have
asked for, and when: a captured book is given to the call that wants it. A tick comes at every second of receive time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.engine.journal import Record, RecordKind, rest_payload
from dfmon.model.errors import SourceError, UsageError
from dfmon.model.units import SECOND, clean
from dfmon.replay.sources import START, Move, Place, Publish, applying
from dfmon.store.captures import Captured, Line
from dfmon.venues import registry
from dfmon.venues.protocol import RestCall

# What a frame is about, where dfmon could make something of it.
_UNDERLYING: Final = re.compile(
    rb'"stream":"([a-z0-9]{2,10})usdt@|"instId":"([A-Z0-9]{2,10})-USDT(?:-SWAP)?"|"channel":"[a-z_]+\.([A-Z]{2,10})[-_]'
)
_LOOK_AHEAD: Final = 5_000  # lines, to learn what the capture is of
_OF_NO_MATTER: Final = frozenset({"limit", "count"})  # a captured book may be deeper or flatter than ours


class Capture:
    """Captured frames through the venues' own protocols. Damage is a SourceError after the last readable line."""

    def __init__(self, path: Path, underlyings: tuple[str, ...] | None, params: FlowParams) -> None:
        self.path, self.params = path, params
        self._captured = Captured(path)
        self._span: tuple[int, int] | None = None
        self.underlyings = underlyings or self._found()

    def driver(self, publish: Publish) -> Driver:
        return Driver(self.underlyings, self.params, self._protocols(), publish)

    def span(self) -> tuple[int, int]:
        if self._span is None:
            times = [line.at_ns for line in self._readable()]
            self._span = times[0], times[-1] + SECOND
        return self._span

    def moves(self, after: Place = START) -> Iterator[Move]:
        for record in self.records():
            place = (0, record.seq)
            if place > after:
                yield Move(record.recv_ns, record.recv_ns, place, applying(record), record.kind is RecordKind.TICK)

    def records(self) -> Iterator[Record]:
        """What a recorder beside the capturing program would have written."""
        return _Translation(self._protocols()).records(self._captured.lines())

    def _protocols(self) -> dict[str, Any]:
        made = registry.endpoints(self.underlyings, self._captured.sources)
        return {endpoint.source: endpoint.protocol for endpoint in made}

    def _readable(self) -> Iterator[Line]:
        """The lines without a word about damage: a replay says it, when it has come to the end."""
        with suppress(SourceError):
            yield from self._captured.lines()

    def _found(self) -> tuple[str, ...]:
        """The underlyings of the frames, in order of first appearance."""
        found: dict[str, None] = {}
        for line in islice(self._readable(), _LOOK_AHEAD):
            if line.what == "frame" and (about := _UNDERLYING.search(line.data)):
                found[next(name for name in about.groups() if name).decode().upper()] = None
        if not found:
            raise UsageError(f"{clean(str(self.path))} holds no market that dfmon reads")
        return tuple(found)


class _Translation:
    """Numbers the records, and answers the calls of the protocols that listen along."""

    def __init__(self, protocols: dict[str, Any]) -> None:
        self._protocols = protocols
        self._seq = 0
        self._answers: list[Line] = []
        self._open: list[tuple[str, RestCall]] = []
        self._given: set[tuple[int, str, tuple[tuple[str, str], ...]]] = set()

    def records(self, lines: Iterator[Line]) -> Iterator[Record]:
        next_tick = now_ns = 0
        for line in lines:
            now_ns = max(line.at_ns, now_ns)
            next_tick = next_tick or (now_ns // SECOND + 1) * SECOND
            while now_ns >= next_tick:
                yield from self._second(next_tick)
                next_tick += SECOND
            if line.what == "answer":
                self._answers.append(line)
                yield from self._answered(now_ns)
            else:
                kind = RecordKind.FRAME if line.what == "frame" else RecordKind.CONNECTED
                yield from self._record(kind, line.source, now_ns, line.data)
        if next_tick:
            yield from self._second(next_tick)

    def _second(self, at_ns: int) -> Iterator[Record]:
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
                protocol.due(at_ns)
            case _:
                protocol.response_received(*record.rest())
        protocol.data_to_send()
        yield record
        calls = protocol.rest_calls()
        if calls:
            self._open += [(source, call) for call in calls]
            yield from self._answered(at_ns)

    def _answered(self, at_ns: int) -> Iterator[Record]:
        """Answers that are there for calls that are open, each once: a book asked for anew must be newer."""
        while (found := self._next_answer()) is not None:
            number, (source, call) = found
            self._open.remove((source, call))
            self._given.add((number, call.path, call.params))
            body = _of_kind(self._answers[number].data, dict(call.params).get("kind"))
            yield from self._record(RecordKind.REST, source, at_ns, rest_payload(call.tag, body))

    def _next_answer(self) -> tuple[int, tuple[str, RestCall]] | None:
        for source, call in self._open:
            for number, line in enumerate(self._answers):
                if (number, call.path, call.params) not in self._given and _is_answer(call, line.asked):
                    return number, (source, call)
        return None


def _is_answer(call: RestCall, url: str) -> bool:
    asked = urlsplit(url)
    query = dict(parse_qsl(asked.query))
    agrees = all(query.get(key, value) == value for key, value in call.params if key not in _OF_NO_MATTER)
    return asked.path.endswith(call.path) and agrees


def _of_kind(body: bytes, kind: str | None) -> bytes:
    """The part of a listing that was asked for; captures hold listings of all kinds in one."""
    if kind is None:
        return body
    try:
        answer = msgspec.json.decode(body)
        answer["result"] = [row for row in answer["result"] if row.get("kind", kind) == kind]
    except (msgspec.DecodeError, TypeError, KeyError, AttributeError, UnicodeDecodeError):
        return body
    return msgspec.json.encode(answer)
