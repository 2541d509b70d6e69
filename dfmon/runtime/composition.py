"""The composition root: builds a live session from the configuration, with its connections, sinks and recorder.

`stores` opens the files that survive a run; `runner` runs the session.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from dfmon import config as configuration
from dfmon.config import Config, PublishSection
from dfmon.core.step import FlowParams
from dfmon.engine.hub import SnapshotHub
from dfmon.model.errors import UsageError
from dfmon.model.snapshot import State
from dfmon.model.units import sanitize
from dfmon.runtime.backfill import BackgroundBackfill
from dfmon.runtime.clock import WALL_CLOCK, SessionClock
from dfmon.runtime.live_session import LiveSession
from dfmon.runtime.rule_runner import RuleRunner
from dfmon.runtime.stores import (
    history_columns,
    history_path,
    open_history,
    open_positions_state,
    open_trades,
    past_events,
    read_secret,
)
from dfmon.sinks.alert_hooks import AlertHooks
from dfmon.sinks.base import Sink, new_session
from dfmon.sinks.jsonl import JsonLines
from dfmon.sinks.redis_url import SCHEMES, RedisTarget, parse_redis_url
from dfmon.sinks.rest.settings import RestSettings
from dfmon.store.recorder import Recorder
from dfmon.store.trades import TradeStore
from dfmon.venues.certificates import check_certificates
from dfmon.venues.options import options_venues
from dfmon.venues.protocol import Endpoint
from dfmon.venues.proxies import proxy_of
from dfmon.venues.registry import VENUES, endpoints, find_source
from dfmon.venues.spec import OptionsSettings, PollSettings
from dfmon.version import __version__

log = logging.getLogger("dfmon")

REST_INTERVAL_S: Final = 0.25  # between two REST calls to one host: well below every venue's limit
SIM_REST_INTERVAL_S: Final = 0.01  # the simulated exchange is ours

PublishMode = Literal["", "changes", "all"]


def venue_endpoints(config: Config) -> list[Endpoint]:
    """The endpoints of every enabled venue, at the configured addresses. Raises UsageError for an unknown coin."""
    _check_currencies(config)
    addresses = {
        source.name: source.address(settings)
        for spec in VENUES
        if (settings := config.venue(spec.name)).enabled
        for source in spec.sources
    }
    return endpoints(config.market.currencies, tuple(addresses), addresses, poll_settings(config))


def _check_currencies(config: Config) -> None:
    venues = configuration.options_settings(config)
    coins = dict.fromkeys(coin for settings in venues.values() for coin in settings.coins)
    for currency in config.market.currencies:
        if currency not in coins:
            keys = " or ".join(f"{name}.coins" for name in venues)
            raise UsageError(f"{currency}: no options known, allowed: {', '.join(coins)}; {keys} can name others")


def check_routes(config: Config, connections: Sequence[Endpoint]) -> None:
    """Raises UsageError if the environment names a proxy or certificates that are needed here and cannot be used."""
    archives = [settings.archive for settings in options_by_source(config, connections).values() if settings.backfill]
    urls = [url for connection in connections for url in (connection.url, connection.rest)] + archives
    for url in urls:
        proxy_of(url)
    if any(url.startswith(("wss:", "https:")) for url in urls):
        check_certificates()


def disabled_venues(config: Config) -> list[str]:
    return [spec.name for spec in VENUES if not config.venue(spec.name).enabled]


def poll_settings(config: Config) -> PollSettings:
    """The shortest interval and the longest look-back of the options venues. A recording stores them for its replay."""
    venues = configuration.options_settings(config).values()
    return PollSettings(min(v.summary_s for v in venues), max(v.look_back_h for v in venues) * 3600.0)


def options_by_source(config: Config, connections: Sequence[Endpoint]) -> dict[str, OptionsSettings]:
    """The settings of each connection to an options venue."""
    by_venue = configuration.options_settings(config)
    return {source: by_venue[find_source(source)[0].name] for source in options_venues(connections)}


@dataclass(frozen=True, slots=True)
class Outputs:
    """The sinks of a session, and its alert rules."""

    sinks: tuple[Sink, ...]
    json_lines: JsonLines | None
    rules: RuleRunner | None = None


def open_outputs(config: Config, publish: PublishMode, mode: State) -> Outputs:
    """The configured sinks. Ports are bound here, so that a port in use is reported before anything starts."""
    sinks: list[Sink] = []
    json_lines = JsonLines(sys.stdout.buffer, publish, heartbeat_s=config.publish.every_s) if publish else None
    if json_lines is not None:
        sinks.append(json_lines)
    if redis_url := read_redis_url(config.publish):
        sinks.append(_redis_stream(config, redis_url))
    if config.publish.rest:
        from dfmon.sinks.rest.rest_service import RestService

        host, _, port = config.publish.rest.rpartition(":")
        rest = RestService(
            host or "127.0.0.1",
            int(port),
            lambda: tuple(sink.status() for sink in sinks),
            rest_settings(config.publish),
            history_columns(config, mode),
            past_events(config, mode),
        )
        rest.bind()
        sinks.append(rest)
        log.info("serving %s/v1/snapshot", rest.url)
    rules = _rule_runner(config, sinks, mode)
    return Outputs(tuple(sinks), json_lines, rules)


def _rule_runner(config: Config, sinks: list[Sink], mode: State) -> RuleRunner:
    """The alert rules. Their hooks are a sink, which a replay has not: nobody is called about the past."""
    rules = configuration.alert_rules(config.alert)
    for rule in rules:
        if absent := sorted(rule.condition.coins - set(config.market.currencies)):
            log.warning("alert %s names %s, which is not among the currencies of this run", rule.name, absent[0])
    if mode == "replay" or not any(rule.command or rule.webhook for rule in rules):
        return RuleRunner(rules)
    hooks = AlertHooks()
    sinks.append(hooks)
    return RuleRunner(rules, hooks.offer)


def rest_settings(publish: PublishSection) -> RestSettings:
    """Access to the REST service. Raises UsageError for a token that is none."""
    return RestSettings(read_rest_token(publish), publish.rest_hosts, publish.rest_origins, publish.rest_rate)


def read_rest_token(publish: PublishSection) -> str:
    """The token of the REST service, from its file if one is given. Raises UsageError where the file holds none."""
    return read_secret(publish.rest_token_file, "token") if publish.rest_token_file else publish.rest_token


def read_redis_url(publish: PublishSection) -> str:
    """The URL of Redis, from its file if one is given. Raises UsageError where the file holds none."""
    if publish.redis or not publish.redis_file:
        return publish.redis
    url = read_secret(publish.redis_file, "URL")
    if url.partition("://")[0] not in SCHEMES:
        raise UsageError(f"{sanitize(publish.redis_file)} holds no redis:// URL")
    return url


def redis_target(url: str, publish: PublishSection) -> RedisTarget:
    """The target of a URL, with the login and the certificates of the configuration for what the URL does not have."""
    target = parse_redis_url(url, publish.redis_ca_file, publish.redis_cert_file, publish.redis_key_file)
    file = publish.redis_password_file
    return target.with_login(publish.redis_user, read_secret(file, "password") if file else publish.redis_password)


def _redis_stream(config: Config, url: str) -> Sink:
    """The Redis output. Events that wait are kept apart for each place and prefix."""
    from dfmon.sinks.redis_stream import RedisStream

    publish = config.publish
    target = redis_target(url, publish)
    place = re.sub(r"[^\w.-]+", "_", f"{target.display_url.partition('?')[0]}_{publish.prefix}")
    folder = Path(publish.spill_folder) if publish.spill_folder else history_path(config).parent / "spill"
    return RedisStream(
        target, publish.prefix, publish.stream_length, spill=folder / place, spill_bytes=publish.spill_mb << 20
    )


class StepErrorLog:
    """Logs exceptions of the engine: the first of a kind with its traceback, the others are counted."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def __call__(self, exc: Exception) -> None:
        kind = f"{type(exc).__name__}: {exc}"
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if self._counts[kind] == 1:
            log.error("a snapshot could not be computed; the last one stays and ages", exc_info=exc)


def live_session(
    config: Config,
    mode: State,
    out: Outputs,
    report: Callable[[Exception], None],
    hub: SnapshotHub | None = None,
    *,
    persist: bool = True,
    clock: SessionClock = WALL_CLOCK,
) -> LiveSession:
    """A live session as configured. Without `persist` it reads the stores of other runs and writes nothing."""
    hub = hub or SnapshotHub(mode=mode)
    hub.session, hub.rules = new_session(), out.rules
    params, connections = configuration.flow_params(config), venue_endpoints(config)
    check_routes(config, connections)
    persistent = persist and mode == "live"
    trades = open_trades(config) if persistent else None
    return LiveSession(
        config.market.currencies,
        connections,
        params,
        hub,
        report,
        tick_s=config.market.tick_s,
        rest_pace_s=SIM_REST_INTERVAL_S if mode == "sim" else REST_INTERVAL_S,
        recorder=_open_recorder(config, hub, connections, params),
        history=open_history(config) if persistent else None,
        sinks=out.sinks,
        backfills=_backfills(config, connections, trades) if persist else {},
        trades=trades,
        state=open_positions_state(config, params, persist=persist) if mode == "live" else None,
        compiled=config.market.compiled,
        disabled_venues=disabled_venues(config),
        clock=clock,
    )


def _open_recorder(
    config: Config, hub: SnapshotHub, connections: Sequence[Endpoint], params: FlowParams
) -> Recorder | None:
    """The recorder of the configured directory, if there is one."""
    if not config.record.directory:
        return None
    session_header: Mapping[str, Any] = {
        "dfmon": __version__,
        "mode": hub.mode,
        "session": hub.session,
        "underlyings": list(config.market.currencies),
        "sources": [connection.source for connection in connections],
        "disabled": disabled_venues(config),
        "pace": asdict(poll_settings(config)),
        "params": msgspec.to_builtins(params),
    }
    return Recorder(
        Path(config.record.directory),
        session_header,
        segment_bytes=config.record.rotate_mb << 20,
        keep_bytes=config.record.keep_mb << 20,
        keep_days=config.record.keep_days,
    )


def _backfills(
    config: Config, connections: Sequence[Endpoint], trades: TradeStore | None
) -> dict[str, BackgroundBackfill]:
    """The backfills of the options venues, by source."""
    return {
        source: BackgroundBackfill(settings.archive, settings.archive_pace, trades)
        for source, settings in options_by_source(config, connections).items()
        if settings.backfill
    }
