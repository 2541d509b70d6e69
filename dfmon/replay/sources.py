"""What can be replayed, as moves of a driver: recordings and recorded boards.

A board has no clock of its own: one board a second is shown at speed 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from msgspec.structs import replace

from dfmon.core.step import FlowParams
from dfmon.engine.driver import COMPILED, Driver
from dfmon.engine.journal import Record, RecordKind
from dfmon.model.errors import UsageError
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import SECOND, clean, iso
from dfmon.replay.time_spec import within
from dfmon.store import boards, replayer
from dfmon.venues import registry

BOARD_NS: Final = SECOND
START: Final = (replayer.START.started_ns, replayer.START.seq)

Publish = Callable[[FlowSnapshot], None]
Place = tuple[int, int]  # of a move in its source; later moves have greater ones


class Move(NamedTuple):
    """One thing to apply at `at_ns` of the replay's clock, which stands for `ts_ns` of the market's.

    `ticks` is True where it publishes snapshots. `apply` gives the driver to go on with: mostly the one it was given.
    """

    at_ns: int
    ts_ns: int
    place: Place
    apply: Callable[[Driver], Driver]
    ticks: bool


class Source(Protocol):
    """What can be replayed: its underlyings, a fresh driver for it, and its moves in order, from any place on."""

    underlyings: tuple[str, ...]

    def driver(self, publish: Publish) -> Driver: ...
    def moves(self, after: Place = START) -> Iterator[Move]: ...
    def span(self) -> tuple[int, int]:
        """Times of the market at the beginning and at the end, ns."""


class Recording:
    """A journal: records in, through the decoders it was made with. Damage is a SourceError after the last record.

    With `across_gaps` missing records are passed over as a lost connection would be; without, they are a SourceError.
    `chosen` are parameters that hold from the beginning to the end, whatever was recorded of them.
    """

    def __init__(self, path: Path, chosen: Mapping[str, Any] | None, *, across_gaps: bool = False) -> None:
        self.path = path
        self._recorded = replayer.Recorded(path)
        self._chosen, self._across_gaps = chosen or {}, across_gaps
        self._about = _About(path, self._recorded.session(), self._chosen)
        self.underlyings = self._about.underlyings
        self.params = self._about.params

    def driver(self, publish: Publish) -> Driver:
        return self._about.driver(publish)

    def span(self) -> tuple[int, int]:
        return self._recorded.span()

    def moves(self, after: Place = START) -> Iterator[Move]:
        place = replayer.Place(*after)
        session, fresh = place.started_ns, place != replayer.START
        for record, session in self._recorded.records(after=place, allow_gaps=self._across_gaps):
            if record.kind is RecordKind.SESSION:
                if fresh:  # a later session of the same directory: its numbers rest on nothing before it
                    about = _About(self.path, replayer.about(record), self._chosen)
                    yield Move(record.recv_ns, record.recv_ns, (session, -1), _restarting(about), ticks=False)
                fresh = True
                continue
            ticks = record.kind is RecordKind.TICK
            yield Move(record.recv_ns, record.recv_ns, (session, record.seq), applying(self._as_chosen(record)), ticks)

    def _as_chosen(self, record: Record) -> Record:
        """A recorded change of parameters leaves the chosen ones."""
        if not self._chosen or record.kind is not RecordKind.PARAMS or record.source == COMPILED:
            return record
        params = replace(msgspec.json.decode(record.payload, type=FlowParams), **self._chosen)
        return record._replace(payload=msgspec.json.encode(params))


def _restarting(about: _About) -> Callable[[Driver], Driver]:
    return lambda driver: about.driver(driver.publish)


class _About:
    """What a recording says of the session it was made in."""

    def __init__(self, path: Path, made: dict[str, Any], chosen: Mapping[str, Any]) -> None:
        try:
            self.underlyings = tuple(msgspec.convert(made.get("underlyings"), list[str]))
            self._sources = msgspec.convert(made.get("sources"), list[str])
            self._pace = registry.Pace(**msgspec.convert(made.get("pace"), dict[str, float]))
            self.params = replace(msgspec.convert(made.get("params"), FlowParams), **chosen)
        except (msgspec.ValidationError, TypeError) as exc:
            raise UsageError(f"{clean(str(path))}: the session record is not one of dfmon: {clean(str(exc))}") from None

    def driver(self, publish: Publish) -> Driver:
        endpoints = registry.endpoints(self.underlyings, self._sources, pace=self._pace)  # their addresses are not used
        decoders = {endpoint.source: endpoint.protocol for endpoint in endpoints}
        return Driver(self.underlyings, self.params, decoders, publish)


def applying(record: Record) -> Callable[[Driver], Driver]:
    def apply(driver: Driver) -> Driver:
        driver.apply(record)
        if record.kind in (RecordKind.TIMER, RecordKind.TICK):
            driver.hush()
        return driver

    return apply


class Boards:
    """Recorded boards: events already, one tick each."""

    def __init__(self, path: Path, underlyings: tuple[str, ...], params: FlowParams) -> None:
        self.path, self.underlyings, self.params = path, underlyings, params
        self._span: tuple[int, int] | None = None

    def driver(self, publish: Publish) -> Driver:
        return Driver(self.underlyings, self.params, {}, publish)

    def span(self) -> tuple[int, int]:
        if self._span is None:
            times = [board.ts_ns for board in boards.read(self.path, self.underlyings)]
            self._span = times[0], times[-1]
        return self._span

    def moves(self, after: Place = START) -> Iterator[Move]:
        """One move a moment: the boards of all underlyings at that time."""
        together = groupby(boards.read(self.path, self.underlyings), key=lambda board: board.ts_ns)
        shown = max(after[1], 0)
        for number, (ts_ns, group) in enumerate(islice(together, shown, None), shown + 1):
            yield Move((number - 1) * BOARD_NS, ts_ns, (0, number), _showing(tuple(group)), ticks=True)

    def newest(self) -> Iterator[Move]:
        """The last board of each underlying alone: a board is a whole listing and rests on nothing before it."""
        last = {board.underlying: board for board in boards.read(self.path, self.underlyings)}
        yield Move(0, 0, (0, 1), _showing(tuple(last.values())), ticks=True)


def _showing(shown: tuple[boards.Board, ...]) -> Callable[[Driver], Driver]:
    def show(driver: Driver) -> Driver:
        for board in shown:
            driver.apply_events(board.events, board.ts_ns)
            driver.tick(board.ts_ns, board.underlying)
        return driver

    return show


def span_of(source: Source, start: str | None, end: str | None) -> tuple[int | None, int | None]:
    """The part of a source that --from and --until name, ns; None where they name nothing. Raises UsageError."""
    if start is None and end is None:
        return None, None
    first_ns, last_ns = source.span()
    from_ns = None if start is None else within("--from", start, first_ns, last_ns)
    until_ns = None if end is None else within("--until", end, first_ns, last_ns)
    if from_ns is not None and until_ns is not None and from_ns > until_ns:
        raise UsageError(f"--from {iso(from_ns)} is later than --until {iso(until_ns)}")
    return from_ns, until_ns


def play_through(source: Source, publish: Publish, *, from_ns: int | None = None, until_ns: int | None = None) -> None:
    """Every snapshot of `source` between two times, as fast as possible, in this thread."""
    heard: list[FlowSnapshot] = []
    driver = source.driver(heard.append)
    for move in source.moves():
        if until_ns is not None and move.ts_ns > until_ns:
            break
        driver = move.apply(driver)
        if from_ns is None or move.ts_ns >= from_ns:
            for snapshot in heard:
                publish(snapshot)
        heard.clear()


def play_to_end(source: Source, publish: Publish) -> None:
    """The last snapshots of `source`, and of a recording every one before them."""
    if not isinstance(source, Boards):
        play_through(source, publish)
        return
    driver = source.driver(publish)
    for move in source.newest():
        driver = move.apply(driver)
