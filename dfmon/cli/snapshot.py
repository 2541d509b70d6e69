"""`dfmon snapshot`: one snapshot of a board, a recording, a running dfmon or the live market, as text or JSON.

Never imports Textual. The object is the same wherever it comes from, and the exit code says whether to trust it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Container
from pathlib import Path

import msgspec

from dfmon.config import Config, flow_params
from dfmon.engine.hub import SnapshotHub
from dfmon.model.errors import EXIT_OK, EXIT_STALE, DfmonError, NoSnapshotError, SourceError, UsageError
from dfmon.model.snapshot import FlowSnapshot, State, from_json, to_json
from dfmon.model.units import clean
from dfmon.replay import open_source, play_to_end
from dfmon.sinks.plain import as_text

ENOUGH = 0.5  # of the patience: after that a snapshot without the hedging venues will do


def run(args: argparse.Namespace, config: Config) -> int:
    """Print one snapshot; 0, or 4 where its data are stale."""
    source = args.source
    wanted = config.market.currencies[0] if hasattr(args, "currency") else None
    mode: State = "replay"
    if source is None:
        snapshot, mode = live(config, wanted or config.market.currencies[0], args.timeout), "live"
    elif "://" in source:
        snapshot = _running(source, wanted, config, args.timeout)
        mode = snapshot.state
    else:
        snapshot = _recorded(Path(source), wanted, config, vars(args))
    if args.json:
        sys.stdout.buffer.write(to_json(snapshot, mode, detail=args.detail) + b"\n")
    else:
        sys.stdout.write(as_text(snapshot, mode))
    sys.stdout.flush()
    return EXIT_STALE if snapshot.state == "stale" else EXIT_OK


def _recorded(path: Path, wanted: str | None, config: Config, named: Container[str]) -> FlowSnapshot:
    """The last snapshot of a file; without --currency of the first configured coin it holds, else of its first."""
    source = open_source(path, (wanted,) if wanted else None, flow_params(config), named=named)
    preferred = [name for name in config.market.currencies if name in source.underlyings]
    shown = wanted or (preferred or list(source.underlyings))[0]
    hub = SnapshotHub(mode="replay")
    try:
        play_to_end(source, hub.publish)
    except SourceError as exc:
        if hub.latest(shown) is None:
            raise
        logging.getLogger("dfmon").warning("%s", exc)  # what could be read is still worth showing
    last = hub.latest(shown)
    if last is None:
        raise UsageError(f"{clean(str(path))} holds no snapshot of {shown}; it holds {', '.join(source.underlyings)}")
    return last


def _running(url: str, wanted: str | None, config: Config, patience_s: float) -> FlowSnapshot:
    """What another dfmon says: http(s)://HOST:PORT of its --rest, or the redis:// of its --redis."""
    underlying = wanted or config.market.currencies[0]
    if url.startswith(("redis://", "rediss://", "unix://")):
        from dfmon.sinks.redis_latest import latest_value

        body = latest_value(url, config.publish.prefix, underlying, patience_s)
        if body is None:
            raise NoSnapshotError(f"redis holds no snapshot of {underlying} under {config.publish.prefix!r}")
    elif url.startswith(("http://", "https://")):
        body = _get(url, underlying, patience_s)
    else:
        raise UsageError(f"{clean(url)}: http://, https:// or redis:// is expected")
    try:
        return from_json(body)
    except msgspec.DecodeError as exc:
        raise DfmonError(f"{clean(url)} did not answer with a snapshot: {clean(str(exc))}") from None


def _get(url: str, underlying: str, patience_s: float) -> bytes:
    import httpx  # 100 ms that a board file does not need

    base = url.rstrip("/").removesuffix("/v1/snapshot")
    try:
        answer = httpx.get(f"{base}/v1/snapshot", params={"currency": underlying, "detail": "true"}, timeout=patience_s)
    except httpx.TimeoutException:
        raise NoSnapshotError(f"{clean(base)} did not answer within {patience_s:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise DfmonError(f"{clean(base)}: {clean(str(exc))}") from None
    if answer.status_code != httpx.codes.OK:
        said = clean(answer.text.strip() or answer.reason_phrase)
        kind = NoSnapshotError if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else DfmonError
        raise kind(f"{clean(base)} answered {answer.status_code}: {said}")
    return answer.content


def live(config: Config, underlying: str, patience_s: float) -> FlowSnapshot:
    """Connect, wait for a complete snapshot, disconnect. Positions begin with those that a monitor left here."""
    from dfmon.runtime import composition

    hub = SnapshotHub(mode="live")
    market = msgspec.structs.replace(config.market, currencies=(underlying,), compiled=False)
    config = msgspec.structs.replace(config, market=market)
    session = composition.live_session(
        config, "live", composition.Outputs((), None), composition.Faults(), hub, keeps=False
    )
    found: list[FlowSnapshot] = []

    async def main() -> None:
        stop, started = asyncio.Event(), time.monotonic()

        def look(snapshot: FlowSnapshot) -> None:
            waited = (time.monotonic() - started) / patience_s
            if is_complete(snapshot, with_markets=waited < ENOUGH):
                found.append(snapshot)
                stop.set()

        hub.listen(look)
        asyncio.get_running_loop().call_later(patience_s, stop.set)
        await session.run(stop)

    asyncio.run(main())
    if not found:
        last = hub.latest(underlying)
        why = "; ".join(f"{f.name} {f.state} {f.note}".strip() for f in last.feeds) if last else "nothing was received"
        raise NoSnapshotError(f"no complete snapshot of {underlying} within {patience_s:g} s: {why}")
    return found[0]


def is_complete(snapshot: FlowSnapshot, *, with_markets: bool) -> bool:
    """Whether the numbers of the first screen are there; `with_markets` asks for depth and volume as well."""
    core = snapshot.spot is not None and snapshot.metrics.ngi.value is not None and snapshot.flip.searched is not None
    if not core or not with_markets:
        return core
    return snapshot.liquidity.depth_1pct_usd is not None and snapshot.liquidity.adv_usd is not None
