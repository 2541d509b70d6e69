"""Paths and openers of the files that a run leaves for the next one: history, option prints, positions.

A store that cannot be used is logged, and the monitor runs without it. A damaged file is moved aside and begun anew.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dfmon import config as configuration
from dfmon.config import Config
from dfmon.core.step import FlowParams
from dfmon.engine.checkpoint import priors_digest
from dfmon.model.errors import UsageError
from dfmon.model.snapshot import MetricRow, State
from dfmon.model.units import sanitize
from dfmon.store.database import StoreError
from dfmon.store.file_content import read_text
from dfmon.store.history import History, HistoryReader
from dfmon.store.history_file import Column
from dfmon.store.history_interface import HistorySource, HistoryWriter
from dfmon.store.history_records import stored_alert, stored_change
from dfmon.store.history_tables import ALERTS, TRANSITIONS
from dfmon.store.positions_state import PositionsStateFile
from dfmon.store.trades import TradeStore, TradeStoreError

if TYPE_CHECKING:
    from dfmon.sinks.rest.past_events import PastEvent, PastEvents
    from dfmon.store.clickhouse.client import ClickHouseAddress

log = logging.getLogger("dfmon")

RowLoader = Callable[[str, int], Sequence[MetricRow]]  # rows of an underlying from a time on, ns


def history_path(config: Config) -> Path:
    """The path of the history, also while it is disabled."""
    if config.history.path:
        return Path(config.history.path)
    return configuration.state_folder(configuration.environment()) / "history.sqlite"


def exchange_id(config: Config) -> str:
    """The hosts of the options venues: prints and positions of one are of no use for another."""
    return "+".join(urlsplit(venue.rest).netloc for venue in configuration.options_settings(config).values())


def exchange_folder(config: Config) -> Path:
    """The directory of prints and positions, beside the history: one for each exchange."""
    return history_path(config).parent / re.sub(r"[^\w.-]", "_", exchange_id(config))


def open_positions_state(config: Config, params: FlowParams, *, persist: bool = True) -> PositionsStateFile | None:
    """The file of the positions, None if the history is disabled."""
    if not config.history.enabled:
        return None
    path = exchange_folder(config) / "positions.state"
    return PositionsStateFile(path, exchange_id(config), priors_digest(params.priors), persist=persist)


def open_trades(config: Config) -> TradeStore | None:
    """The store of option prints, None if it is disabled or cannot be used."""
    if not config.history.enabled:
        return None
    try:
        return TradeStore(exchange_folder(config) / "trades.sqlite", keep_days=config.history.keep_days)
    except TradeStoreError as exc:
        log.warning("no trade store: %s", exc)
        return None


def read_secret(path: str, subject: str) -> str:
    """The text of a file that holds one secret. Raises UsageError where it holds none."""
    secret = read_text(Path(path), f"a {subject}", 4096).strip()
    if not secret:
        raise UsageError(f"{sanitize(path)} holds no {subject}")
    return secret


def open_history(config: Config) -> HistoryWriter | None:
    """The history, in ClickHouse where an address is configured; None if it is disabled or cannot be used."""
    if not config.history.enabled:
        return None
    path, settings = history_path(config), config.history
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if settings.url:
            return _open_clickhouse(config)
        return History(
            path,
            retention_days=settings.keep_days,
            minutes_days=settings.keep_minutes_days,
            hours_days=settings.keep_hours_days,
        )
    except (StoreError, OSError) as exc:
        log.warning("no history: %s", exc)
        return None


def _open_clickhouse(config: Config) -> HistoryWriter:
    """The writer of ClickHouse, which connects by itself, with its outbox beside the path of the embedded history."""
    from dfmon.store.clickhouse.client import ClickHouseClient
    from dfmon.store.clickhouse.outbox import open_outbox
    from dfmon.store.clickhouse.schema import Variant
    from dfmon.store.clickhouse.writer import ClickHouseHistory

    settings = config.history
    outbox, notice = open_outbox(history_path(config).with_name("clickhouse-outbox.sqlite"), settings.outbox_mb << 20)

    def variant(version: tuple[int, int]) -> Variant:
        days = settings.keep_days, settings.keep_minutes_days, settings.keep_hours_days
        return Variant(version, settings.cluster, *days)

    history = ClickHouseHistory(ClickHouseClient(_clickhouse_address(config)), variant, outbox)
    history.notice = notice
    return history


def _clickhouse_address(config: Config) -> ClickHouseAddress:
    from dfmon.store.clickhouse.client import ClickHouseAddress

    settings = config.history
    file = settings.password_file
    password = read_secret(file, "password") if file else settings.password
    return ClickHouseAddress(settings.url, settings.user, password)


def open_history_reader(config: Config) -> HistorySource:
    """A reader of the history, in ClickHouse where an address is configured. Raises StoreError."""
    if not config.history.url:
        return HistoryReader(history_path(config))
    from dfmon.store.clickhouse.client import ClickHouseClient
    from dfmon.store.clickhouse.reader import ClickHouseReader

    return ClickHouseReader(ClickHouseClient(_clickhouse_address(config)))


def history_columns(
    config: Config, mode: State
) -> Callable[[str, int, Sequence[str], int], Mapping[str, Column]] | None:
    """A function that reads stored metrics: of an underlying, since a time, these columns, until a time.

    None if there are none. Raises StoreError where they cannot be read.
    """
    if mode != "live" or not config.history.enabled:
        return None

    def read_columns(underlying: str, since_ns: int, names: Sequence[str], until_ns: int) -> Mapping[str, Column]:
        with open_history_reader(config) as reader:
            return reader.columns(underlying, since_ns, names, until_ns)

    return read_columns


def past_events(config: Config, mode: State) -> PastEvents | None:
    """A function that reads the stored scenario changes and alerts of a position model; None if there are none."""
    if mode != "live" or not config.history.enabled:
        return None

    def read_events(underlying: str, model: str, since_ns: int, until_ns: int) -> list[PastEvent]:
        from dfmon.sinks.rest.past_events import PastEvent

        with open_history_reader(config) as reader:
            changes = [
                PastEvent(row[1], stored_change(row))
                for row in reader.records(TRANSITIONS.name, underlying, since_ns, until_ns)
            ]
            alerts = map(stored_alert, reader.records(ALERTS.name, underlying, since_ns, until_ns))
            events = [*changes, *(PastEvent(alert.ts_ns, alert) for alert in alerts)]
        return [event for event in events if event.content.model in ("", model)]

    return read_events


def history_loader(config: Config, mode: State) -> RowLoader | None:
    """A function that loads the charts' past from the history; None if there is none."""
    if mode != "live" or not config.history.enabled:
        return None

    def load_rows(underlying: str, since_ns: int) -> Sequence[MetricRow]:
        try:
            with open_history_reader(config) as reader:
                return reader.rows_since(underlying, since_ns)
        except StoreError as exc:
            if exc.damage or config.history.url:
                log.warning("no history in the charts: %s", exc)
            return ()

    return load_rows
