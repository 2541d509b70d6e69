"""Paths and openers of the files that a run leaves for the next one: history, option prints, positions.

A store that cannot be used is logged, and the monitor runs without it. A damaged file is moved aside and begun anew.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from dfmon import config as configuration
from dfmon.config import Config
from dfmon.core.step import FlowParams
from dfmon.engine.checkpoint import priors_digest
from dfmon.model.snapshot import MetricRow, State
from dfmon.store.history import History, HistoryReader
from dfmon.store.history_file import HistoryError
from dfmon.store.positions_state import PositionsStateFile
from dfmon.store.trades import TradeStore, TradeStoreError

log = logging.getLogger("dfmon")


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


def open_history(config: Config) -> History | None:
    """The embedded history, None if it is disabled or cannot be used."""
    if not config.history.enabled:
        return None
    path, settings = history_path(config), config.history
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return History(
            path,
            retention_days=settings.keep_days,
            minutes_days=settings.keep_minutes_days,
            hours_days=settings.keep_hours_days,
        )
    except (HistoryError, OSError) as exc:
        log.warning("no history: %s", exc)
        return None


def history_loader(config: Config, mode: State) -> Callable[[str, int], Sequence[MetricRow]] | None:
    """A function that loads the charts' past from the embedded history; None if there is none."""
    if mode != "live" or not config.history.enabled:
        return None
    path = history_path(config)

    def load_rows(underlying: str, since_ns: int) -> Sequence[MetricRow]:
        try:
            with HistoryReader(path) as reader:
                return reader.rows_since(underlying, since_ns)
        except HistoryError as exc:
            if exc.damage:
                log.warning("no history in the charts: %s", exc)
            return ()

    return load_rows
