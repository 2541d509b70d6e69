"""`dfmon snapshot`: one snapshot of a board, a recording, a running dfmon or the live market, as text or JSON.

Never imports Textual. The JSON object is the same for every source; the exit code is 4 for stale data.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Container, Mapping
from pathlib import Path

import msgspec

from dfmon.cli.remote_snapshot import remote_snapshot, remote_view
from dfmon.config import Config, flow_params
from dfmon.engine.hub import SnapshotHub
from dfmon.model.errors import EXIT_OK, EXIT_STALE, NoSnapshotError, SourceError, UsageError
from dfmon.model.locator import Locator
from dfmon.model.snapshot import FlowSnapshot, State, to_json
from dfmon.model.units import iso, sanitize
from dfmon.replay import BoardSource, explain_board_format, open_source, play_to_end
from dfmon.replay.time_spec import is_relative, parse_option_time
from dfmon.sinks.plain_text import format_snapshot
from dfmon.sinks.view_text import View, as_csv, view_of

MARKETS_OPTIONAL_AFTER = 0.5  # share of the timeout after which a snapshot without the hedging venues suffices


def run(args: argparse.Namespace, config: Config) -> int:
    """Prints one snapshot. Returns 0, or 4 if its data are stale."""
    if args.explain_format:
        return _print_format(args.source)
    if (locator := getattr(args, "locator", None)) is not None:
        return _print_table(_load_view(args, config, locator), json=args.json)
    snapshot, mode = load_snapshot(args, config)
    if args.json:
        sys.stdout.buffer.write(to_json(snapshot, mode, detail=args.detail) + b"\n")
    else:
        sys.stdout.write(format_snapshot(snapshot, mode))
    sys.stdout.flush()
    return EXIT_STALE if snapshot.state == "stale" else EXIT_OK


def _load_view(args: argparse.Namespace, config: Config, locator: Locator) -> View:
    """The table of a locator; that of a REST service is computed there, where the options are."""
    if args.source is not None and args.source.startswith(("http://", "https://")):
        return remote_view(args.source, locator, config, args.timeout)
    return view_of(*load_snapshot(args, config), locator)


def _print_table(view: View, *, json: bool) -> int:
    """Prints a table, as CSV unless it is to be JSON. Returns 0, or 4 if its data are stale."""
    sys.stdout.buffer.write(msgspec.json.encode(view) + b"\n" if json else as_csv(view).encode())
    sys.stdout.flush()
    return EXIT_STALE if view.state == "stale" else EXIT_OK


def _print_format(source: str | None) -> int:
    """Prints how a board file is read. Returns 0."""
    if source is None or "://" in source:
        raise UsageError("--explain-format needs the path of a board file")
    sys.stdout.write("".join(f"{line}\n" for line in explain_board_format(Path(source))))
    sys.stdout.flush()
    return EXIT_OK


def load_snapshot(args: argparse.Namespace, config: Config) -> tuple[FlowSnapshot, State]:
    """The snapshot of `args.source`, and the kind of its session: of a file, a running dfmon, or the live market."""
    source = args.source
    currency = config.market.currencies[0] if hasattr(args, "currency") else None
    if source is None:
        return live_snapshot(config, currency or config.market.currencies[0], args.timeout), "live"
    if "://" in source:
        snapshot = remote_snapshot(source, currency, config, args.timeout)
        return snapshot, snapshot.state
    return recorded_snapshot(Path(source), currency, config, vars(args), args.at), "replay"


def recorded_snapshot(
    path: Path, currency: str | None, config: Config, explicit_options: Container[str], at: str | None = None
) -> FlowSnapshot:
    """The last snapshot of a file until the time `at`: of --currency, else of the first configured coin in it, else of
    its first.
    """
    params = flow_params(config)
    at_ns = None if at is None or is_relative(at) else parse_option_time("--at", at)
    currencies = (currency,) if currency else None
    source = open_source(path, currencies, params, explicit_options=explicit_options, at_ns=at_ns)
    if at is not None and at_ns is None:
        at_ns = parse_option_time("--at", at, *source.span())
    preferred = [name for name in config.market.currencies if name in source.underlyings]
    underlying = currency or (preferred or list(source.underlyings))[0]
    hub = SnapshotHub("replay", source.session)
    try:
        play_to_end(source, hub.publish, at_ns)
    except SourceError as exc:
        if hub.latest(underlying) is None:
            raise
        logging.getLogger("dfmon").warning("%s", exc)  # the readable part has a snapshot
    if isinstance(source, BoardSource):
        sys.stderr.write(f"dfmon: {source.description}\n")
    last = hub.latest(underlying)
    if last is None:
        until = "" if at_ns is None else f" at or before {iso(at_ns)}"
        raise UsageError(
            f"{sanitize(str(path))} has no snapshot of {underlying}{until}; available: {', '.join(source.underlyings)}"
        )
    _check_file_positions(last, config, params.file_positions)
    return last


def _check_file_positions(snapshot: FlowSnapshot, config: Config, positions: Mapping[str, float] | None) -> None:
    """Raises UsageError if the positions are those of a file that names no option of the snapshot."""
    if snapshot.positions.model == "file" and not snapshot.positions.gross_coins and any((positions or {}).values()):
        file = config.market.positions.partition(":")[2] or "the position file"
        named = sanitize(", ".join(list(positions or {})[:2]))
        raise UsageError(
            f"{sanitize(file)} names no option of {snapshot.underlying} at {iso(snapshot.ts_ns)}: it has {named}, …"
        )


def live_snapshot(config: Config, underlying: str, timeout_s: float) -> FlowSnapshot:
    """Connects, waits for a complete snapshot, disconnects. Positions start from those that a monitor saved here."""
    from dfmon.runtime import composition

    hub = SnapshotHub(mode="live")
    market = msgspec.structs.replace(config.market, currencies=(underlying,), compiled=False)
    config = msgspec.structs.replace(config, market=market)
    session = composition.live_session(
        config, "live", composition.Outputs((), None), composition.StepErrorLog(), hub, persist=False
    )
    complete: list[FlowSnapshot] = []

    async def main() -> None:
        stop, started = asyncio.Event(), time.monotonic()

        def on_snapshot(snapshot: FlowSnapshot) -> None:
            elapsed_share = (time.monotonic() - started) / timeout_s
            if is_complete(snapshot, with_markets=elapsed_share < MARKETS_OPTIONAL_AFTER):
                complete.append(snapshot)
                stop.set()

        hub.add_listener(on_snapshot)
        asyncio.get_running_loop().call_later(timeout_s, stop.set)
        await session.run(stop)

    asyncio.run(main())
    if not complete:
        last = hub.latest(underlying)
        reason = (
            "; ".join(f"{f.name} {f.state} {f.note}".strip() for f in last.feeds) if last else "nothing was received"
        )
        raise NoSnapshotError(f"no complete snapshot of {underlying} within {timeout_s:g} s: {reason}")
    return complete[0]


def is_complete(snapshot: FlowSnapshot, *, with_markets: bool) -> bool:
    """True if spot and the numbers of some position model are available, and `with_markets` also those of the
    published model, depth and volume.
    """
    is_priced = snapshot.spot is not None and any(row.ngi is not None for row in snapshot.models)
    if not is_priced or not with_markets:
        return is_priced
    has_liquidity = snapshot.liquidity.depth_1pct_usd is not None and snapshot.liquidity.adv_usd is not None
    return has_liquidity and snapshot.metrics.ngi.value is not None and snapshot.flip.searched is not None
