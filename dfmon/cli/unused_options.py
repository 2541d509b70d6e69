"""Refuses options that mean nothing to a command: they would be a wish that is not fulfilled, in silence."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Final

from dfmon.model.errors import UsageError

_SOURCES: Final = ("", "demo", "replay")  # the live monitor has no command of its own
_MONITORS: Final = (*_SOURCES, "attach", "serve")
_PUBLISHERS: Final = (*_SOURCES, "record")
_WITHOUT_MODEL: Final = (
    "attach",
    "backfill",
    "compare",
    "doctor",
    "evidence",
    "export",
    "import",
    "sim",
    "verify-book",
)
_COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("rate", "palette", "icons", "mouse", "plain", "low_bandwidth"), _MONITORS),
    "book": _SOURCES,
    **dict.fromkeys(("publish", "every"), (*_PUBLISHERS, "attach")),
    **dict.fromkeys(("redis", "rest"), _PUBLISHERS),
    "record": ("", "demo"),
}
"""The commands of an option that not every command takes."""
_NOT_FOR: Final[Mapping[str, tuple[str, ...]]] = dict.fromkeys(
    ("positions", "numeraire", "stickiness", "tick"), _WITHOUT_MODEL
)


def refuse_unused_options(args: argparse.Namespace) -> None:
    """Raises UsageError for an option on the command line that has no effect, with the commands that take it."""
    command = args.command or ""
    if command == "config":  # shows and checks any setting
        return
    for option in vars(args):
        flag = "--no-mouse" if option == "mouse" else f"--{option.replace('_', '-')}"
        commands = _COMMANDS.get(option)
        if commands is not None and command not in commands:
            raise UsageError(f"dfmon {command} takes no {flag}; {_names(commands)} do")
        if command in _NOT_FOR.get(option, ()):
            raise UsageError(f"dfmon {command} takes no {flag}: it computes no exposures")
    if hasattr(args, "book") and hasattr(args, "publish"):
        raise UsageError("--book is for the screen, and --publish has none")
    if hasattr(args, "every") and not hasattr(args, "publish"):
        raise UsageError("--every needs --publish: it is the time between its lines")
    source = getattr(args, "source", None)
    if getattr(args, "at", None) is not None and (source is None or "://" in source):
        raise UsageError("--at chooses a time of a file, so it needs the path of one")
    if source is not None and "://" in source:
        _refuse_with_url(args)
    if command == "replay":
        _refuse_in_replay(args)


def _refuse_with_url(args: argparse.Namespace) -> None:
    """A running dfmon has computed its numbers; of its position models `explain` may ask for any."""
    for option in ("positions", "numeraire", "stickiness"):
        if hasattr(args, option) and (option, args.command) != ("positions", "explain"):
            raise UsageError(f"--{option} is chosen by the dfmon at the URL; dfmon config of that one sets it")


def _refuse_in_replay(args: argparse.Namespace) -> None:
    outputs = [name for name in ("publish", "redis", "rest") if hasattr(args, name)]
    if args.info and outputs:
        raise UsageError(f"replay --info publishes nothing, so it takes no --{outputs[0]}")
    if getattr(args, "publish", "") == "all" and outputs != ["publish"]:
        raise UsageError(
            f"replay --publish all writes every snapshot to stdout alone; for --{outputs[1]} give --publish, "
            "with --speed max if it need not wait"
        )


def _names(commands: tuple[str, ...]) -> str:
    *names, last = [f"dfmon {command}".strip() for command in commands]
    return f"{', '.join(names)} and {last}"
