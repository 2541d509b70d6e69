"""Sources of a replay as steps of a driver: recordings and recorded boards.

Boards are shown one a second at speed 1, whatever their times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby, islice
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, Protocol

import msgspec
from msgspec.structs import replace

from dfmon.core.step import FlowParams
from dfmon.engine.driver import COMPILED_SOURCE, Driver
from dfmon.engine.journal import Record, RecordKind
from dfmon.model.errors import SourceError, UsageError
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import MILLISECOND, SECOND, iso, sanitize
from dfmon.replay.time_spec import parse_time_within
from dfmon.store import boards, replayer
from dfmon.store.boards import report
from dfmon.store.boards.events import VENUE as BOARD_VENUE
from dfmon.venues import registry
from dfmon.venues.options import options_venues
from dfmon.venues.spec import PollSettings

BOARD_INTERVAL_NS: Final = SECOND
BEGINNING: Final = (replayer.BEGINNING.started_ns, replayer.BEGINNING.seq)

Publish = Callable[[FlowSnapshot], None]
SourceCursor = tuple[int, int]  # position of a step in its source; rises from step to step


class ReplayStep(NamedTuple):
    """One step, applied at `at_ns` of the replay's clock; its market time is `ts_ns`.

    `ticks` is True if it publishes snapshots. `apply_to` returns the driver to continue with, mostly the same one.
    """

    at_ns: int
    ts_ns: int
    cursor: SourceCursor
    apply_to: Callable[[Driver], Driver]
    ticks: bool


class ReplaySource(Protocol):
    """A source of a replay: its underlyings, a new driver for it, and its steps in order from any position."""

    kind: ClassVar[str]
    underlyings: tuple[str, ...]

    @property
    def session(self) -> str:
        """The name of the run that it was recorded of; empty where there is none."""

    def driver(self, publish: Publish) -> Driver: ...
    def steps(self, after: SourceCursor = BEGINNING) -> Iterator[ReplayStep]: ...
    def span(self) -> tuple[int, int]:
        """First and last market time, ns."""


class RecordingSource:
    """The records of a journal, decoded as when they were recorded. Damage is a SourceError after the last record.

    With `across_gaps` missing records are treated as a lost connection; without, they are a SourceError.
    `overrides` are parameters that replace the recorded ones throughout.
    """

    kind: ClassVar = "recording"

    def __init__(self, path: Path, overrides: Mapping[str, Any] | None, *, across_gaps: bool = False) -> None:
        self.path = path
        self._reader = replayer.RecordingReader(path)
        self._overrides, self._across_gaps = overrides or {}, across_gaps
        self._session_info = _SessionInfo(path, self._reader.session_info(), self._overrides)
        self.underlyings = self._session_info.underlyings
        self.params = self._session_info.params

    @property
    def session(self) -> str:
        """As recorded, or made of the time at which the recording begins."""
        return self._session_info.name or f"{self._reader.blocks[0].started_ns // MILLISECOND:012x}"

    def driver(self, publish: Publish) -> Driver:
        return self._session_info.driver(publish)

    def span(self) -> tuple[int, int]:
        return self._reader.span()

    def steps(self, after: SourceCursor = BEGINNING) -> Iterator[ReplayStep]:
        cursor = replayer.RecordCursor(*after)
        started_ns, restarts = cursor.started_ns, cursor != replayer.BEGINNING
        for record, started_ns in self._reader.records(after=cursor, allow_gaps=self._across_gaps):
            if record.kind is RecordKind.SESSION:
                if restarts:  # a later session of the same directory starts with a new driver
                    session_info = _SessionInfo(self.path, replayer.session_info(record), self._overrides)
                    yield ReplayStep(
                        record.recv_ns, record.recv_ns, (started_ns, -1), _restart_driver(session_info), ticks=False
                    )
                restarts = True
                continue
            ticks = record.kind is RecordKind.TICK
            yield ReplayStep(
                record.recv_ns,
                record.recv_ns,
                (started_ns, record.seq),
                apply_record(self._with_overrides(record)),
                ticks,
            )

    def _with_overrides(self, record: Record) -> Record:
        """The record; a change of parameters keeps the overridden ones."""
        if not self._overrides or record.kind is not RecordKind.PARAMS or record.source == COMPILED_SOURCE:
            return record
        params = replace(msgspec.json.decode(record.payload, type=FlowParams), **self._overrides)
        return record._replace(payload=msgspec.json.encode(params))


def _restart_driver(session_info: _SessionInfo) -> Callable[[Driver], Driver]:
    return lambda driver: session_info.driver(driver.publish)


class _SessionInfo:
    """The underlyings, connections and parameters of a recorded session."""

    def __init__(self, path: Path, session: dict[str, Any], overrides: Mapping[str, Any]) -> None:
        try:
            self.underlyings = tuple(msgspec.convert(session.get("underlyings"), list[str]))
            self._sources = msgspec.convert(session.get("sources"), list[str])
            self.name = msgspec.convert(session.get("session", ""), str)
            self._disabled = msgspec.convert(session.get("disabled", []), list[str])
            self._pace = PollSettings(**msgspec.convert(session.get("pace"), dict[str, float]))
            self.params = replace(msgspec.convert(session.get("params"), FlowParams), **overrides)
        except (msgspec.ValidationError, TypeError) as exc:
            raise UsageError(f"{sanitize(str(path))}: the session record is not valid: {sanitize(str(exc))}") from None

    def driver(self, publish: Publish) -> Driver:
        endpoints = registry.endpoints(
            self.underlyings, self._sources, polls=self._pace
        )  # their addresses are not used
        decoders = {endpoint.source: endpoint.protocol for endpoint in endpoints}
        return Driver(
            self.underlyings,
            self.params,
            decoders,
            publish,
            options_sources=tuple(options_venues(endpoints)),
            expected_markets=registry.expected_markets(tuple(decoders)),
            options_venue=registry.options_title(tuple(decoders)),
            disabled_venues=self._disabled,
        )


def apply_record(record: Record) -> Callable[[Driver], Driver]:
    def apply(driver: Driver) -> Driver:
        try:
            driver.apply(record)
        except (ValueError, OverflowError) as exc:  # whole, but not what dfmon writes
            kind = record.kind.name.lower()
            raise SourceError(f"record {record.seq} ({kind}) cannot be used: {sanitize(str(exc), 120)}") from None
        if record.kind in (RecordKind.TIMER, RecordKind.TICK):
            driver.discard_outgoing()
        return driver

    return apply


class BoardSource:
    """Recorded boards, one tick each."""

    kind: ClassVar = "boards"
    session: ClassVar = ""

    def __init__(
        self, path: Path, underlyings: tuple[str, ...] | None, params: FlowParams, at_ns: int | None = None
    ) -> None:
        """`at_ns` is the time of rows that have none."""
        self.path, self.params = path, params
        self.file = boards.BoardFile(path, at_ns)
        self.underlyings = self.file.currencies if underlyings is None else underlyings
        self._span: tuple[int, int] | None = None

    @property
    def description(self) -> str:
        """One line on how the file was read, as far as it was."""
        return report.summary(self.file.findings)

    def driver(self, publish: Publish) -> Driver:
        return Driver(self.underlyings, self.params, {}, publish, options_venue=registry.options_title((BOARD_VENUE,)))

    def span(self) -> tuple[int, int]:
        if self._span is None:
            times = [board.ts_ns for board in self.file.boards(self.underlyings)]
            self._span = times[0], times[-1]
        return self._span

    def steps(self, after: SourceCursor = BEGINNING) -> Iterator[ReplayStep]:
        """One step for each time, with the boards of all underlyings."""
        board_groups = groupby(self.file.boards(self.underlyings), key=lambda board: board.ts_ns)
        shown_count = max(after[1], 0)
        for number, (ts_ns, group) in enumerate(islice(board_groups, shown_count, None), shown_count + 1):
            yield ReplayStep(
                (number - 1) * BOARD_INTERVAL_NS, ts_ns, (0, number), _apply_boards(tuple(group)), ticks=True
            )

    def latest_boards(self, until_ns: int | None = None) -> Iterator[ReplayStep]:
        """The last board of each underlying until `until_ns` only: a board is a complete listing and needs none before
        it.
        """
        yield ReplayStep(0, 0, (0, 1), _apply_boards(self.file.last_boards(self.underlyings, until_ns)), ticks=True)


def _apply_boards(board_group: tuple[boards.RecordedBoard, ...]) -> Callable[[Driver], Driver]:
    def apply_boards(driver: Driver) -> Driver:
        for board in board_group:
            driver.apply_events(board.events, board.ts_ns)
            driver.tick(board.ts_ns, board.underlying)
        return driver

    return apply_boards


def resolve_span(source: ReplaySource, start: str | None, end: str | None) -> tuple[int | None, int | None]:
    """The times of --from and --until in a source, ns; None where they are not given. Raises UsageError."""
    if start is None and end is None:
        return None, None
    first_ns, last_ns = source.span()
    from_ns = None if start is None else parse_time_within("--from", start, first_ns, last_ns)
    until_ns = None if end is None else parse_time_within("--until", end, first_ns, last_ns)
    if from_ns is not None and until_ns is not None and from_ns > until_ns:
        raise UsageError(f"--from {iso(from_ns)} is later than --until {iso(until_ns)}")
    return from_ns, until_ns


def play_through(
    source: ReplaySource, publish: Publish, *, from_ns: int | None = None, until_ns: int | None = None
) -> None:
    """Publishes every snapshot of `source` between two market times, as fast as possible, in this thread."""
    step_snapshots: list[FlowSnapshot] = []
    driver = source.driver(step_snapshots.append)
    for step in source.steps():
        if until_ns is not None and step.ts_ns > until_ns:
            break
        driver = step.apply_to(driver)
        if from_ns is None or step.ts_ns >= from_ns:
            for snapshot in step_snapshots:
                publish(snapshot)
        step_snapshots.clear()


def explain_board_format(path: Path) -> Iterator[str]:
    """Lines that say how a board file is read: columns, guesses, rows left out. Raises UsageError or SourceError."""
    file = boards.BoardFile(path)
    for _ in file.boards():
        pass
    return report.explanation(file.findings)


def play_to_end(source: ReplaySource, publish: Publish, until_ns: int | None = None) -> None:
    """Publishes the last snapshots of `source` until `until_ns`; for a recording all snapshots before them too."""
    if not isinstance(source, BoardSource):
        play_through(source, publish, until_ns=until_ns)
        return
    driver = source.driver(publish)
    for step in source.latest_boards(until_ns):
        driver = step.apply_to(driver)
