"""`dfmon backfill`: downloads the full trade history of every listed option into the trade store, without a session.

Resumes where an earlier run ended. Of stored prints only the last one of each option is requested again, which proves
that the store is of this venue. Ends by itself, or at a signal with the prints so far.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from dfmon.aio import StopSignals
from dfmon.cli.progress_bar import ProgressBar
from dfmon.config import Config
from dfmon.engine.hub import BackfillProgress
from dfmon.model.backoff import backoff_delay
from dfmon.model.errors import EXIT_FAILED, EXIT_OK, DfmonError, UsageError
from dfmon.model.events import Listed, OptionTicker, OptionTrade, OptionTradeHistory, Rejected
from dfmon.model.instrument import Instrument
from dfmon.model.units import HOUR, format_hms, sanitize
from dfmon.runtime import composition
from dfmon.runtime.backfill import ArchiveError, BackfillMeter, fetch_history
from dfmon.runtime.stores import exchange_folder
from dfmon.store.trades import OptionKey, StoredTrades, TradeStore
from dfmon.venues.decoding import UNREADABLE
from dfmon.venues.options import OptionsVenue, options_venues
from dfmon.venues.rest.client import RestClient
from dfmon.venues.spec import OptionsSettings
from dfmon.venues.stored_prints import decode_stored, encode_stored

RECENT_NS: Final = HOUR  # a history read to its end this recently is not requested again
_MAX_BACKOFF_S: Final = 30.0
_MAX_RETRIES: Final = 6  # for an archive that does not respond: about two minutes


def run(config: Config) -> int:
    """Downloads until everything is stored, or until a signal. Returns the exit code."""
    if not config.history.enabled:
        raise UsageError("backfill: history.enabled is false, so prints cannot be stored; allowed: true")
    return asyncio.run(_run_until_signal(config))


async def _run_until_signal(config: Config) -> int:
    path, bar = exchange_folder(config) / "trades.sqlite", ProgressBar(sys.stderr, "dfmon backfill")
    with TradeStore(path, keep_days=config.history.keep_days) as store:
        if store.notice is not None:
            logging.getLogger("dfmon").warning("%s", store.notice)
        backfills = standalone_backfills(config, store, bar)
        task = asyncio.create_task(_run_all(backfills))
        signals = StopSignals(task.cancel)
        await asyncio.wait({task})
        bar.clear()
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, DfmonError):
            raise error
        store.flush()
        stop_reason = (
            f"{error}; run it again to resume"
            if error
            else "stopped; run it again to resume"
            if signals.exit_code
            else ""
        )
        sys.stdout.writelines(backfill.summary(path, stop_reason) + "\n" for backfill in backfills)
        if signals.exit_code:
            return signals.exit_code
        failed = error or store.failure or any(backfill.given_up for backfill in backfills)
        return EXIT_FAILED if failed else EXIT_OK


def standalone_backfills(
    config: Config, store: TradeStore, bar: ProgressBar, clock: Callable[[], int] = time.time_ns
) -> list[StandaloneBackfill]:
    """A backfill for each options venue."""
    connections = composition.venue_endpoints(config)
    composition.check_routes(config, connections)
    settings = composition.options_by_source(config, connections)
    return [
        StandaloneBackfill(venue, settings[source], store, bar, clock)
        for source, venue in options_venues(connections).items()
    ]


async def _run_all(backfills: Sequence[StandaloneBackfill]) -> None:
    for backfill in backfills:
        await backfill.run()


def progress_text(progress: BackfillProgress) -> str:
    """Options, prints, rate and time left.

    >>> progress_text(BackfillProgress(12, 1200, 34567, 890.1, 75.0))
    '12/1200, 34,567 prints, 890/s, 0:01:15 left'
    """
    remaining = "" if progress.eta_s is None else f", {format_hms(progress.eta_s)} left"
    text = f"{progress.done}/{progress.total}, {progress.prints:,} prints, {progress.prints_per_s:,.0f}/s{remaining}"
    return progress.error or text


class StandaloneBackfill:
    """One run of a venue: the listing, then every option's history, largest open interest first."""

    def __init__(
        self,
        venue: OptionsVenue,
        settings: OptionsSettings,
        store: TradeStore,
        bar: ProgressBar,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._venue, self._settings, self._store, self._bar, self._clock = venue, settings, store, bar, clock
        self._meter = BackfillMeter(venue.histories)
        self._options: dict[str, Instrument] = {}
        self._open_interest_usd: dict[str, float] = {}
        self._stored_counts: dict[str, int] = {}  # option -> how many of its prints are in the store
        self._recent_count = 0  # options whose history was read a short while ago

    @property
    def given_up(self) -> dict[str, str]:
        """Options whose history could not be downloaded, with the reason."""
        return self._venue.histories.given_up

    def summary(self, path: Path, stop_reason: str) -> str:
        """The result in one line."""
        done = self._meter.progress()
        text = f"{done.done} of {done.total} options read, {done.prints:,} new prints"
        if self._recent_count:
            text += f", {self._recent_count} read within the hour"
        if self.given_up:
            examples = "; ".join(f"{name}: {reason}" for name, reason in list(self.given_up.items())[:3])
            text += f", {len(self.given_up)} without a full history ({examples})"
        if self._store.failure:
            text += f"; {self._store.failure}"
        return sanitize(f"{text}; stored in {path}" + (f"; {stop_reason}" if stop_reason else ""), 1000)

    async def run(self) -> None:
        """Downloads everything. Raises ArchiveError if the venue does not respond."""
        async with RestClient(pace_s=composition.REST_INTERVAL_S) as rest:
            await self._fetch_listing(rest)
        stored = self._store.stored()
        names = sorted(self._options, key=lambda name: (-self._open_interest_usd.get(name, 0.0), name))
        read_before_ns = self._clock() - RECENT_NS
        pending = [name for name in names if name not in stored or stored[name].read_ns < read_before_ns]
        self._recent_count = len(names) - len(pending)
        self._meter.total = len(pending)
        async with RestClient(pace_s=1.0 / self._settings.archive_pace) as rest:

            async def fetch_page(name: str) -> str:
                call = self._venue.histories.next_call(name)
                self._apply_response(call.tag, await rest.get(self._settings.archive, call))
                self._store_page(name)
                self._draw_progress()
                return next(iter(rest.errors.values()), "busy")

            for name in pending:
                self._resume_history(name, stored.get(name))
                await fetch_history(name, self._venue.histories, fetch_page, self._meter, max_retries=_MAX_RETRIES)
                self._meter.done += 1
                self._draw_progress()

    def _draw_progress(self) -> None:
        progress = self._meter.progress()
        self._bar.draw(progress.done / max(progress.total, 1), progress_text(progress))

    async def _fetch_listing(self, rest: RestClient) -> None:
        """Fetches the listing of every currency, and its open interest where it is available."""
        self._venue.connection_made(self._clock())
        attempts = 0
        while calls := self._venue.listing_calls():
            for call in calls:
                while not self._apply_response(call.tag, body := await rest.get(self._settings.rest, call)):
                    attempts += 1
                    if attempts > _MAX_RETRIES:
                        reason = next(iter(rest.errors.values()), sanitize(body.decode("utf-8", "replace"), 80))
                        raise ArchiveError(f"{call.path} at {sanitize(self._settings.rest)} failed: {reason}")
                    await asyncio.sleep(backoff_delay(attempts, 1.0, _MAX_BACKOFF_S))

    def _apply_response(self, tag: str, body: bytes) -> bool:
        """Applies a response. Returns False if it was not a valid one."""
        events = self._venue.response_received(tag, body)
        for event in events:
            if isinstance(event, Listed):
                self._options[event.instrument.name] = event.instrument
            elif isinstance(event, OptionTicker):
                self._open_interest_usd[event.name] = _positive(event.open_interest) * _positive(event.index)
            elif isinstance(event, OptionTradeHistory):
                self._append_trades(event.name, event.trades, is_full_history=True)
        return not any(isinstance(event, Rejected) and event.what == "response" for event in events)

    def _resume_history(self, name: str, stored: StoredTrades | None) -> None:
        """Starts a history with its stored prints."""
        contiguous_count = stored.contiguous_count if stored is not None else 0
        if contiguous_count:
            rows = encode_stored(self._store.read_rows(name, contiguous_count))
            try:
                trades = decode_stored(self._venue.source, name, rows)
            except UNREADABLE:  # damaged: read again from the archive
                self._store.drop_options([name])
                trades, contiguous_count = [], 0
            self._venue.histories.resume(name, trades)
            self._meter.exclude_prints(len(trades))
        self._stored_counts[name] = contiguous_count

    def _store_page(self, name: str) -> None:
        """Stores the last page of an incomplete history, so that a kill costs at most a page."""
        histories = self._venue.histories
        if name in histories.mismatched:
            histories.mismatched.discard(name)
            self._store.drop_options([name])
            self._stored_counts[name] = 0
        collected = histories.collected(name)
        if len(collected) > self._stored_counts[name]:
            self._append_trades(name, collected)

    def _append_trades(
        self, name: str, trades: list[OptionTrade] | tuple[OptionTrade, ...], *, is_full_history: bool = False
    ) -> None:
        option = self._options[name]
        option_key = OptionKey(name, option.underlying, option.expiry_ns)
        self._store.append_trades(
            option_key, trades[self._stored_counts[name] :], self._clock() if is_full_history else 0
        )
        self._store.flush()
        self._stored_counts[name] = len(trades)
        if self._store.failure:
            raise DfmonError(self._store.failure)


def _positive(value: float) -> float:
    return max(0.0, value)
