"""`dfmon attach`: the screen on the snapshots of other dfmons, or headless."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from dfmon.cli.remote_snapshot import split_url
from dfmon.config import Config
from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize
from dfmon.runtime import composition, runner
from dfmon.runtime.attach.session import AttachSession
from dfmon.runtime.attach.sources import HttpSource, RedisSource, SnapshotSource
from dfmon.sinks.redis_url import SCHEMES
from dfmon.sinks.secret_urls import mask_url


def run(args: argparse.Namespace, config: Config) -> int:
    """Draws the screen, or with --publish writes JSON lines, until the user or a signal ends it."""
    publish = getattr(args, "publish", None)
    # no Redis and no REST, whatever the environment says: what is received would be published again
    alone = replace(config, publish=replace(config.publish, redis="", redis_file="", rest=""))
    out = composition.open_outputs(alone, publish or "", "live")
    session = AttachSession(list(make_sources(args.urls, config)), out.sinks)
    session.hub.rules = out.rules
    if publish:
        return runner.run_headless(session, out, config_source=args.config_source)
    return runner.run_with_screen(session, config, config.market.currencies, vars(args))


def make_sources(urls: Sequence[str], config: Config) -> Iterator[SnapshotSource]:
    """A source for each URL and currency. Raises UsageError for a URL that is none of ours."""
    token = composition.read_rest_token(config.publish)
    for url in dict.fromkeys(urls):
        scheme = url.partition("://")[0]
        if scheme in SCHEMES:
            target = composition.redis_target(url, config.publish)
            for underlying in config.market.currencies:
                yield RedisSource(target, config.publish.prefix, underlying)
        elif scheme in ("http", "https"):
            base, in_query = split_url(url)
            for underlying in (in_query,) if in_query else config.market.currencies:
                yield HttpSource(base, underlying, token)
        else:
            raise UsageError(f"{sanitize(mask_url(url))}: unknown scheme; allowed: redis://, http://, https://")
