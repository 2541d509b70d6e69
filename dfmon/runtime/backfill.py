"""Whole histories of options from the venue's archive, at a pace the venue does not mind, behind a running market.

`read_history` asks page after page until an option's history is whole or given up; the pages go to the driver like any
answer, so a recording holds them and a replay collects the same. `Background` does so for every option that is not
known from its first print on, most open interest first; what the trade store has already comes from there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from dfmon.engine.hub import BackfillProgress
from dfmon.model.errors import DfmonError
from dfmon.store.trades import Kept, TradeStore
from dfmon.venues.deribit.trades.history import Lives, kept_page
from dfmon.venues.rest.client import RestClient

SOURCE: Final = "deribit"
_FIRST_WAIT_S: Final = 2.0
_LONGEST_WAIT_S: Final = 60.0
_PRINTS_A_TICK: Final = 5_000  # out of the store, so that a tick stays short
_LOOK_S: Final = 0.1
_REST_S: Final = 30.0  # between two looks for options that are not known yet


class ArchiveError(DfmonError):
    """The archive does not answer."""


class Market(Protocol):
    """What the backfill needs of a driver: where pages go, what to read first, and when a tick has passed."""

    ticks: int

    def response(self, source: str, recv_ns: int, tag: str, body: bytes) -> None: ...
    def by_interest(self) -> list[str]: ...


class Meter:
    """Options and prints so far, how fast it goes, and how long it will take."""

    def __init__(self, lives: Lives, clock: Callable[[], float] = time.monotonic) -> None:
        self.done = self.total = 0
        self.trouble = ""
        self._lives, self._clock = lives, clock
        self._began, self._prints = clock(), lives.prints

    def known(self, prints: int) -> None:
        """So many prints were collected that did not come from the archive."""
        self._prints += prints

    def progress(self) -> BackfillProgress:
        spent = max(self._clock() - self._began, 1e-3)
        prints = self._lives.prints - self._prints
        left = (self.total - self.done) * spent / self.done if self.done else None
        return BackfillProgress(self.done, self.total, prints, prints / spent, left, self.trouble)


async def read_history(
    name: str,
    lives: Lives,
    ask: Callable[[str], Awaitable[str]],
    meter: Meter,
    *,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    most_waits: int | None = None,
) -> None:
    """Page after page of one option until its history is whole or given up.

    `ask` makes the next call for `name`, hands its answer over, and says what was wrong with the connection. An archive
    that is busy or away is waited for, ever longer; after `most_waits` waits in a row ArchiveError is raised.
    """
    waits = 0
    while name not in lives.whole and name not in lives.given_up:
        pages = lives.pages
        trouble = await ask(name)
        if lives.pages > pages:
            waits, meter.trouble = 0, ""
            continue
        if most_waits is not None and waits >= most_waits:
            raise ArchiveError(f"the archive does not answer: {trouble}")
        wait = min(_FIRST_WAIT_S * 2.0**waits, _LONGEST_WAIT_S)
        meter.trouble = f"archive: {trouble}; next try in {wait:.0f} s"
        waits += 1
        await pause(wait)


class Background:
    """The backfill of a session. `archive` is a REST base, asked at most `per_s` times a second."""

    def __init__(self, archive: str, per_s: float, store: TradeStore | None = None) -> None:
        self._archive, self._pace_s, self._store = archive, 1.0 / per_s, store
        self._meter: Meter | None = None

    @property
    def progress(self) -> BackfillProgress | None:
        """How far it is; None before it begins and when nothing is left to read."""
        return None if self._meter is None else self._meter.progress()

    async def run(self, market: Market, lives: Lives, clock: Callable[[], int], stop: asyncio.Event) -> None:
        """Read until `stop`; what raises here is raised by the session."""
        work = asyncio.create_task(self._work(market, lives, clock))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, stopped):
                task.cancel()
            await asyncio.wait({work, stopped})
        if not work.cancelled():
            work.result()

    async def _work(self, market: Market, lives: Lives, clock: Callable[[], int]) -> None:
        kept = {} if self._store is None else await asyncio.to_thread(self._kept, self._store)
        async with RestClient(pace_s=self._pace_s) as rest:

            async def ask(name: str) -> str:
                call = lives.next_call(name)
                body = await rest.get(self._archive, call)
                market.response(SOURCE, clock(), call.tag, body)
                return next(iter(rest.trouble.values()), "busy")

            while True:
                names = [n for n in market.by_interest() if n not in lives.whole and n not in lives.given_up]
                if not names:
                    self._meter = None
                    await asyncio.sleep(_LOOK_S if not market.by_interest() else _REST_S)
                    continue
                meter = self._meter = Meter(lives)
                meter.total = len(names)
                await self._feed(market, lives, clock, {name: kept.pop(name) for name in names if name in kept})
                for name in names:
                    await read_history(name, lives, ask, meter)
                    meter.done += 1
                    if self._store is not None and name in lives.foreign:
                        await asyncio.to_thread(self._store.drop, [name])

    @staticmethod
    def _kept(store: TradeStore) -> dict[str, Kept]:
        return {name: kept for name, kept in store.kept().items() if kept.whole or kept.read_ns}

    async def _feed(self, market: Market, lives: Lives, clock: Callable[[], int], kept: dict[str, Kept]) -> None:
        """Histories out of the store, some thousand prints a tick."""
        assert self._store is not None or not kept
        ticks, prints = market.ticks, 0
        for name, about in kept.items():
            if self._store is None or name in lives.whole:
                continue
            rows = await asyncio.to_thread(self._store.read, name, about.whole)
            if prints and prints + len(rows) > _PRINTS_A_TICK:
                while market.ticks == ticks:
                    await asyncio.sleep(_LOOK_S)
                ticks, prints = market.ticks, 0
            prints += len(rows)
            market.response(SOURCE, clock(), f"stored:{name}", kept_page(rows))
