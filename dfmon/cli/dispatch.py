"""Runs a command by name. Each is imported when it runs: a snapshot of a file must not wait for a web client."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Final

from dfmon.config import Config
from dfmon.model.errors import UsageError

_MODULES: Final = {
    "alerts": "alerts",
    "compare": "compare",
    "evidence": "evidence",
    "import": "import_file",
    "record-book": "record_book",
    "serve": "serve",
    "verify-book": "record_book",
}
"""Modules of the commands that take arguments and configuration, and need nothing else."""


def run(args: argparse.Namespace, config: Config) -> int:
    """Runs the command of `args` and returns the exit code."""
    if args.command in _MODULES:
        return int(import_module(f"dfmon.cli.{_MODULES[args.command]}").run(args, config))
    match args.command:
        case "snapshot":
            from dfmon.cli import snapshot

            return snapshot.run(args, config)
        case "positions":
            from dfmon.cli import positions

            return positions.run(args, config)
        case "explain":
            from dfmon.cli import explain

            return explain.run(args, config)
        case "mcp":
            from dfmon.cli import mcp

            return mcp.run(args, config)
        case "doctor":
            from dfmon.cli.doctor import run as doctor

            return doctor.run(config, json=args.json)
        case "record":
            from dfmon.cli import record

            return record.run(args, config)
        case "backfill":
            from dfmon.cli import backfill

            return backfill.run(config)
        case "export":
            from dfmon.cli import export

            return export.run(args, config)
        case "replay" if args.info:
            from dfmon.cli import recording_info

            return recording_info.run(args, config)
        case _:
            return _run_monitor(args, config)


def _run_monitor(args: argparse.Namespace, config: Config) -> int:
    """Runs a command that draws the screen unless it publishes."""
    _require_terminal(args)
    match args.command:
        case "demo":
            from dfmon.cli import demo

            return demo.run(args, config)
        case "replay":
            from dfmon.cli import replay

            return replay.run(args, config)
        case "attach":
            from dfmon.cli import attach

            return attach.run(args, config)
        case _:
            from dfmon.cli import live

            return live.run(args, config, "live")


def _require_terminal(args: argparse.Namespace) -> None:
    """Raises UsageError if the command draws a screen and there is no terminal."""
    if getattr(args, "publish", None):
        return
    from dfmon.tui.terminal import check_terminal

    error = check_terminal()
    if error:
        raise UsageError(error)
