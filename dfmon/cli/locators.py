"""Locators on the command line: `dfmon open LOCATOR [SOURCE]` and `dfmon snapshot LOCATOR [FILE]`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from dfmon.model.errors import UsageError
from dfmon.model.locator import SCHEME, parse_locator
from dfmon.model.units import sanitize

Parse = Callable[[Sequence[str]], argparse.Namespace]


def resolve_locator(args: argparse.Namespace, argv: Sequence[str], parse: Parse) -> argparse.Namespace:
    """The arguments that a locator stands for, with itself as `locator`. Raises UsageError.

    `dfmon open` becomes the command that shows its source: the live monitor, a demo, a replay or `dfmon attach`.
    """
    if args.command == "open":
        return _opened(args, argv, parse)
    if args.command != "snapshot":
        return args
    if args.source is None or not args.source.startswith(SCHEME):
        if args.of is not None:
            raise UsageError(f"{sanitize(args.of, 60)} is a second SOURCE; allowed: one, or a locator and its source")
        return args
    locator = parse_locator(args.source)
    args.locator, args.source, args.currency = locator, args.of, locator.coin
    at = locator.get("at")
    if at is not None and (args.of is None or "://" in args.of):
        raise UsageError(f"{at} is past; allowed: dfmon snapshot LOCATOR FILE with a recording of it, or no at=")
    args.at = args.at or at
    return args


def _opened(args: argparse.Namespace, argv: Sequence[str], parse: Parse) -> argparse.Namespace:
    locator, source = parse_locator(args.locator), args.source
    at = locator.get("at")
    command = [] if source is None else ["demo"] if source == "demo" else ["replay", source]
    if source is not None and "://" in source:
        command = ["attach", source]
    elif command[:1] == ["replay"] and at is not None:
        command += ["--paused", "--from", at.removesuffix("Z")]
    options = [text for text in argv if text not in ("open", args.locator, source)]
    opened = parse([*command, *options])
    opened.locator = locator
    return opened
