"""Full trade histories from the venue's archive, downloaded at a limited rate behind a running market.

`fetch_history` requests page after page until an option's history is complete or given up. The pages go to the driver
like any response, so a recording contains them and a replay collects the same. `BackgroundBackfill` does this for every
option that is not known from its first print on, largest open interest first; stored prints come from the trade store.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from dfmon.aio import run_until_set
from dfmon.engine.hub import BackfillProgress
from dfmon.model.backoff import backoff_delay
from dfmon.model.errors import DfmonError
from dfmon.store.trades import StoredTrades, TradeStore
from dfmon.venues.options import OptionsVenue, TradeHistories
from dfmon.venues.rest.client import RestClient
from dfmon.venues.stored_prints import encode_stored, stored_tag

_MIN_BACKOFF_S: Final = 2.0
_MAX_BACKOFF_S: Final = 60.0
_MAX_PRINTS_PER_TICK: Final = 5_000  # from the store, so that a tick stays short
_POLL_INTERVAL_S: Final = 0.1
_IDLE_INTERVAL_S: Final = 30.0  # between two checks for options without a history


class ArchiveError(DfmonError):
    """The archive does not respond."""


class BackfillTarget(Protocol):
    """The part of a driver that the backfill needs."""

    ticks: int

    def response(self, source: str, recv_ns: int, tag: str, body: bytes) -> None: ...
    def by_open_interest(self) -> list[str]: ...


class BackfillMeter:
    """Options and prints so far, their rate, and the time left."""

    def __init__(self, histories: TradeHistories, clock: Callable[[], float] = time.monotonic) -> None:
        self.done = self.total = 0
        self.error = ""
        self._collector, self._clock = histories, clock
        self._started, self._initial_prints = clock(), histories.prints

    def exclude_prints(self, prints: int) -> None:
        """Excludes prints that did not come from the archive from the rate."""
        self._initial_prints += prints

    def progress(self) -> BackfillProgress:
        elapsed_s = max(self._clock() - self._started, 1e-3)
        prints = self._collector.prints - self._initial_prints
        remaining_s = (self.total - self.done) * elapsed_s / self.done if self.done else None
        return BackfillProgress(self.done, self.total, prints, prints / elapsed_s, remaining_s, self.error)


async def fetch_history(
    name: str,
    histories: TradeHistories,
    fetch_page: Callable[[str], Awaitable[str]],
    meter: BackfillMeter,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    max_retries: int | None = None,
) -> None:
    """Fetches page after page of one option until its history is complete or given up.

    `fetch_page` makes the next call for `name`, applies its response, and returns what was wrong with the connection.
    While the archive is busy or away the next try comes after a growing delay. Raises ArchiveError after `max_retries`
    delays in a row.
    """
    retries = 0
    while name not in histories.complete and name not in histories.given_up:
        pages = histories.pages
        error = await fetch_page(name)
        if histories.pages > pages:
            retries, meter.error = 0, ""
            continue
        if max_retries is not None and retries >= max_retries:
            raise ArchiveError(f"the archive does not respond: {error}")
        delay_s = backoff_delay(retries, _MIN_BACKOFF_S, _MAX_BACKOFF_S)
        meter.error = f"archive: {error}; next try in {delay_s:.0f} s"
        retries += 1
        await sleep(delay_s)


class BackgroundBackfill:
    """The backfill of a session. `archive` is a REST base, called at most `calls_per_s` times a second."""

    def __init__(self, archive: str, calls_per_s: float, store: TradeStore | None = None) -> None:
        self._archive, self._pace_s, self._store = archive, 1.0 / calls_per_s, store
        self._meter: BackfillMeter | None = None

    @property
    def progress(self) -> BackfillProgress | None:
        """The progress; None before it begins and when nothing is left to read."""
        return None if self._meter is None else self._meter.progress()

    async def run(
        self, target: BackfillTarget, venue: OptionsVenue, clock: Callable[[], int], stop: asyncio.Event
    ) -> None:
        """Reads until `stop`."""
        await run_until_set(stop, self._backfill_all(target, venue, clock))

    async def _backfill_all(self, target: BackfillTarget, venue: OptionsVenue, clock: Callable[[], int]) -> None:
        histories = venue.histories
        stored_by_name = {} if self._store is None else await asyncio.to_thread(self._stored_histories, self._store)
        async with RestClient(pace_s=self._pace_s) as rest:

            async def fetch_page(name: str) -> str:
                call = histories.next_call(name)
                body = await rest.get(self._archive, call)
                target.response(venue.source, clock(), call.tag, body)
                return next(iter(rest.errors.values()), "busy")

            while True:
                listed = [name for name in target.by_open_interest() if name in venue.options]
                names = [name for name in listed if name not in histories.complete and name not in histories.given_up]
                if not names:
                    self._meter = None
                    await asyncio.sleep(_IDLE_INTERVAL_S if listed else _POLL_INTERVAL_S)
                    continue
                meter = self._meter = BackfillMeter(histories, asyncio.get_running_loop().time)
                meter.total = len(names)
                await self._replay_stored(
                    target, venue, clock, {name: stored_by_name.pop(name) for name in names if name in stored_by_name}
                )
                for name in names:
                    await fetch_history(name, histories, fetch_page, meter)
                    meter.done += 1
                    if self._store is not None and name in histories.mismatched:
                        await asyncio.to_thread(self._store.drop_options, [name])

    @staticmethod
    def _stored_histories(store: TradeStore) -> dict[str, StoredTrades]:
        return {name: stored for name, stored in store.stored().items() if stored.contiguous_count or stored.read_ns}

    async def _replay_stored(
        self,
        target: BackfillTarget,
        venue: OptionsVenue,
        clock: Callable[[], int],
        stored_by_name: dict[str, StoredTrades],
    ) -> None:
        """Applies histories from the store, some thousand prints a tick."""
        assert self._store is not None or not stored_by_name
        ticks, prints = target.ticks, 0
        for name, stored_history in stored_by_name.items():
            if self._store is None or name in venue.histories.complete:
                continue
            rows = await asyncio.to_thread(self._store.read_rows, name, stored_history.contiguous_count)
            if prints and prints + len(rows) > _MAX_PRINTS_PER_TICK:
                while target.ticks == ticks:
                    await asyncio.sleep(_POLL_INTERVAL_S)
                ticks, prints = target.ticks, 0
            prints += len(rows)
            target.response(venue.source, clock(), stored_tag(name), encode_stored(rows))
