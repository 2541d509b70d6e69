"""`dfmon backfill`: the whole life of every listed option into the trade store, without a market behind it.

Goes on where an earlier run ended: what is kept is not asked for again but for its last print, which proves that the
store is of this venue. Ends by itself, or at a signal with what it has.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from dfmon.config import Config
from dfmon.engine.hub import BackfillProgress
from dfmon.model.errors import EXIT_FAILED, EXIT_OK, DfmonError, UsageError
from dfmon.model.events import Listed, OptionLife, OptionTicker, OptionTrade, Rejected
from dfmon.model.instrument import Instrument
from dfmon.model.units import HOUR, clean
from dfmon.runtime import composition
from dfmon.runtime.backfill import ArchiveError, Meter, read_history
from dfmon.runtime.stores import market_folder
from dfmon.store.trades import Kept, Named, TradeStore
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.deribit.trades.history import from_kept, kept_page
from dfmon.venues.rest.client import RestClient

FRESH: Final = HOUR  # a history read to its end this recently is not looked at again
_MOST_WAITS: Final = 6  # for an archive that does not answer: about two minutes
_SHOW_S: Final = 0.2  # between two looks of the bar
_SAY_S: Final = 10.0  # between two lines where there is no terminal
_BAR: Final = 24


def run(config: Config) -> int:
    """Read until everything is there, or until a signal. The exit code."""
    if not config.history.enabled:
        raise UsageError("backfill: history.enabled is false, so there is nowhere to keep prints; allowed: true")
    return asyncio.run(_until_signal(config))


async def _until_signal(config: Config) -> int:
    loop, caught = asyncio.get_running_loop(), list[int]()
    path = market_folder(config) / "trades.sqlite"
    with TradeStore(path, keep_days=config.history.keep_days) as store:
        fill = Fill(config, store, Bar(sys.stderr))
        work = asyncio.create_task(fill.run())

        def leave(number: int) -> None:
            caught.append(number)
            work.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, leave, number)
        await asyncio.wait({work})
        fill.bar.clear()
        trouble = None if work.cancelled() else work.exception()
        if trouble is not None and not isinstance(trouble, DfmonError):
            raise trouble
        store.flush()
        ended = f"{trouble}; run it again to go on" if trouble else "stopped; run it again to go on" if caught else ""
        sys.stdout.write(fill.summary(path, ended) + "\n")
        if caught:
            return 128 + caught[0]
        return EXIT_FAILED if trouble or fill.given_up or store.failed else EXIT_OK


class Bar:
    """Progress on a terminal as one line that is drawn over, elsewhere as a line now and then."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._clock = out, clock
        self._terminal = out.isatty()
        self._next = clock() + (0.0 if self._terminal else _SAY_S)

    def show(self, progress: BackfillProgress) -> None:
        """Draw, unless that was done a moment ago."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + (_SHOW_S if self._terminal else _SAY_S)
        line = in_words(progress)
        if self._terminal:
            full = _BAR * progress.done // max(progress.total, 1)
            self._out.write(f"\r[{'#' * full}{'-' * (_BAR - full)}] {line[: 76 - _BAR]}\x1b[K")
        else:
            self._out.write(f"dfmon backfill: {line}\n")
        self._out.flush()

    def clear(self) -> None:
        if self._terminal:
            self._out.write("\r\x1b[K")
            self._out.flush()


def in_words(progress: BackfillProgress) -> str:
    """Options, prints, rate and time left.

    >>> in_words(BackfillProgress(12, 1200, 34567, 890.1, 75.0))
    '12/1200, 34,567 prints, 890/s, 1:15 left'
    """
    left = "" if progress.left_s is None else f", {clock_words(progress.left_s)} left"
    words = f"{progress.done}/{progress.total}, {progress.prints:,} prints, {progress.per_s:,.0f}/s{left}"
    return progress.trouble or words


def clock_words(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"


class Fill:
    """One run: the listing, then every option's history, most open interest first."""

    def __init__(self, config: Config, store: TradeStore, bar: Bar, clock: Callable[[], int] = time.time_ns) -> None:
        self.bar = bar
        self._config, self._store, self._clock = config, store, clock
        self._protocol = DeribitProtocol(config.market.currencies)
        self._meter = Meter(self._protocol.lives)
        self._options: dict[str, Instrument] = {}
        self._interest: dict[str, float] = {}
        self._written: dict[str, int] = {}  # option -> how many of its prints are in the store
        self._known = 0  # options whose history was read a short while ago

    @property
    def given_up(self) -> dict[str, str]:
        """Options whose history could not be had, with the reason."""
        return self._protocol.lives.given_up

    def summary(self, path: Path, ended: str) -> str:
        """What was done, in one line."""
        done = self._meter.progress()
        words = f"{done.done} of {done.total} options read, {done.prints:,} new prints"
        if self._known:
            words += f", {self._known} read within the hour"
        if self.given_up:
            first = "; ".join(f"{name}: {why}" for name, why in list(self.given_up.items())[:3])
            words += f", {len(self.given_up)} without a whole history ({first})"
        if self._store.failed:
            words += f"; {self._store.failed}"
        return clean(f"{words}; kept in {path}" + (f"; {ended}" if ended else ""), 1000)

    async def run(self) -> None:
        """Read everything. Raises ArchiveError where the venue does not answer."""
        deribit = self._config.deribit
        async with RestClient(pace_s=composition.VENUE_PACE_S) as rest:
            await self._list(rest)
        kept = self._store.kept()
        names = sorted(self._options, key=lambda name: (-self._interest.get(name, 0.0), name))
        old = self._clock() - FRESH
        wanted = [name for name in names if name not in kept or kept[name].read_ns < old]
        self._known = len(names) - len(wanted)
        self._meter.total = len(wanted)
        async with RestClient(pace_s=1.0 / deribit.archive_pace) as rest:

            async def ask(name: str) -> str:
                call = self._protocol.lives.next_call(name)
                self._take(call.tag, await rest.get(deribit.archive, call))
                self._save(name)
                self.bar.show(self._meter.progress())
                return next(iter(rest.trouble.values()), "busy")

            for name in wanted:
                self._go_on(name, kept.get(name))
                await read_history(name, self._protocol.lives, ask, self._meter, most_waits=_MOST_WAITS)
                self._meter.done += 1
                self.bar.show(self._meter.progress())

    async def _list(self, rest: RestClient) -> None:
        """The listing of every currency, and its open interest where that can be had."""
        self._protocol.connection_made(self._clock())
        tries = 0
        while calls := [
            call for call in self._protocol.rest_calls() if call.tag.startswith(("instruments", "summary"))
        ]:
            for call in calls:
                if call.tag.endswith(":future"):
                    continue
                while not self._take(call.tag, body := await rest.get(self._config.deribit.rest, call)):
                    tries += 1
                    if tries > _MOST_WAITS:
                        why = next(iter(rest.trouble.values()), clean(body.decode("utf-8", "replace"), 80))
                        raise ArchiveError(f"{call.path} at {clean(self._config.deribit.rest)} failed: {why}")
                    await asyncio.sleep(min(2.0**tries, 30.0))

    def _take(self, tag: str, body: bytes) -> bool:
        """An answer; false where it was none."""
        events = self._protocol.response_received(tag, body)
        for event in events:
            if isinstance(event, Listed):
                self._options[event.instrument.name] = event.instrument
            elif isinstance(event, OptionTicker):
                self._interest[event.name] = _positive(event.open_interest) * _positive(event.index)
            elif isinstance(event, OptionLife):
                self._write(event.name, event.trades, whole=True)
        return not any(isinstance(event, Rejected) and event.what == "answer" for event in events)

    def _go_on(self, name: str, kept: Kept | None) -> None:
        """Begin a history with what is kept of it."""
        whole = kept.whole if kept is not None else 0
        if whole:
            trades = from_kept(name, kept_page(self._store.read(name, whole)))
            self._protocol.lives.begin(name, trades)
            self._meter.known(len(trades))
        self._written[name] = whole

    def _save(self, name: str) -> None:
        """What the last page brought of a history that is not whole yet, so that a kill costs a page at most."""
        lives = self._protocol.lives
        if name in lives.foreign:
            lives.foreign.discard(name)
            self._store.drop([name])
            self._written[name] = 0
        collected = lives.collected(name)
        if len(collected) > self._written[name]:
            self._write(name, collected)

    def _write(self, name: str, trades: list[OptionTrade] | tuple[OptionTrade, ...], *, whole: bool = False) -> None:
        option = self._options[name]
        named = Named(name, option.underlying, option.expiry_ns)
        self._store.append(named, trades[self._written[name] :], self._clock() if whole else 0)
        self._store.flush()
        self._written[name] = len(trades)
        if self._store.failed:
            raise DfmonError(self._store.failed)


def _positive(value: float) -> float:
    return max(0.0, value)
