"""The command line: parses the arguments, loads the configuration, runs the command, returns the exit code.

Errors are one sentence on stderr without a traceback: 2 wrong usage, 1 failed, 3 no snapshot in time, 4 stale data.
"""

from __future__ import annotations

import argparse
import logging
import logging.handlers
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

from dfmon.cli.argv_secrets import hide_secrets
from dfmon.cli.locators import resolve_locator
from dfmon.cli.parser import build_parser
from dfmon.cli.process_limits import describe_exhaustion, prepare_open_files
from dfmon.cli.standard_streams import discard_output
from dfmon.cli.unused_options import refuse_unused_options
from dfmon.model.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, DfmonError, UsageError
from dfmon.model.units import sanitize

# flag on the command line -> key of the configuration
CONFIG_KEY_BY_FLAG = {
    "currency": "market.currencies",
    "positions": "market.positions",
    "numeraire": "market.numeraire",
    "stickiness": "market.stickiness",
    "tick": "market.tick_s",
    "rate": "screen.rate_hz",
    "palette": "screen.palette",
    "icons": "screen.icons",
    "mouse": "screen.mouse",
    "redis": "publish.redis",
    "rest": "publish.rest",
    "every": "publish.every_s",
    "record": "record.directory",
}


def run(argv: Sequence[str]) -> int:
    """Parses the arguments and runs the command. Returns the exit code of the process."""
    try:
        code = _run_command(argv)
        sys.stdout.flush()
    except DfmonError as exc:
        print(f"dfmon: {exc}", file=sys.stderr)
        return exc.exit_code
    except BrokenPipeError:  # the reader of stdout has seen enough
        discard_output()
        return EXIT_OK
    except OSError as exc:
        discard_output()
        print(f"dfmon: {sanitize(str(exc))}", file=sys.stderr)
        return EXIT_FAILED
    except (MemoryError, ImportError, RuntimeError, BaseExceptionGroup) as exc:
        if not (sentence := describe_exhaustion(exc)):
            raise
        print(f"dfmon: {sentence}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130
    return code


def _run_command(argv: Sequence[str]) -> int:
    try:
        args = resolve_locator(build_parser().parse_args(argv), argv, build_parser().parse_args)
    except SystemExit as exc:  # argparse after --help and --version
        return exc.code if isinstance(exc.code, int) else EXIT_USAGE
    hide_secrets(argv)
    refuse_unused_options(args)
    return _dispatch(args)


def _dispatch(args: argparse.Namespace) -> int:
    prepare_open_files()
    if args.command == "sim":
        from dfmon.cli import sim

        options = (args.seed, args.port, args.speed, args.currency, args.script, args.certificate, args.feedback)
        return sim.serve_standalone(*options, child=args.child)

    if args.command == "config":
        from dfmon.cli import config_file

        return config_file.run(args)

    if not _draws_screen(args):
        return _run_configured(args)
    from dfmon.tui.first_frame import first_frame

    with first_frame(f"dfmon {args.command or ''}".rstrip()):
        return _run_configured(args)


def _run_configured(args: argparse.Namespace) -> int:
    """Loads the configuration and runs the command. Imports the engine: a screen has its first frame by then."""
    from dfmon import config
    from dfmon.cli import dispatch as commands
    from dfmon.config.variables import expand_home, named_dotenv

    flags = {
        key: getattr(args, name) for name, key in CONFIG_KEY_BY_FLAG.items() if getattr(args, name, None) is not None
    }
    if args.command == "record":
        flags["record.directory"] = args.directory
    if args.command == "backfill":
        flags |= _archive_flags(args.venue, args.pace)
    environ = config.environment()
    dotenv_name, dotenv = named_dotenv(getattr(args, "env_file", None), environ)
    args.config_source = config.ConfigSource(getattr(args, "config", None), environ, flags, dotenv, dotenv_name)
    loaded_config = args.config_source.load()
    log_path = expand_home(args.log_file, environ) if hasattr(args, "log_file") else None
    _configure_logging(log_path, screen=_draws_screen(args))
    return commands.run(args, loaded_config)


def _archive_flags(address: str | None, pace: float | None) -> dict[str, object]:
    """Settings of the options venues as the flags of `dfmon backfill`."""
    from dfmon.venues.registry import VENUES

    flags = {"rest": address, "archive": address, "archive_pace": pace}
    return {
        f"{spec.name}.{key}": value
        for spec in VENUES
        if spec.lists_options
        for key, value in flags.items()
        if value is not None
    }


def _draws_screen(args: argparse.Namespace) -> bool:
    return (
        args.command in (None, "demo", "replay", "attach")
        and not getattr(args, "publish", None)
        and not getattr(args, "info", False)
    )


class PrivateFileHandler(logging.handlers.RotatingFileHandler):
    """A log that only its owner reads: addresses and paths are in it."""

    def _open(self) -> TextIOWrapper:
        fd = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return TextIOWrapper(os.fdopen(fd, "ab"), encoding=self.encoding)


def _configure_logging(log_path: Path | None, *, screen: bool) -> None:
    """Logs to --log-file, else to stderr; with a screen to a file only, since stderr is the screen."""
    handler: logging.Handler
    if log_path is not None:
        try:
            handler = PrivateFileHandler(log_path, maxBytes=1 << 20, backupCount=3, encoding="utf-8")
        except OSError as exc:
            raise UsageError(f"--log-file {sanitize(str(log_path))} cannot be written: {exc.strerror}") from None
    elif screen:
        handler = logging.NullHandler()
    else:
        handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.raiseExceptions = False  # a full disk must not write tracebacks into the screen
    root = logging.getLogger("dfmon")
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    root.propagate = False
    for library in ("picows", "websockets"):  # a lost connection is noted with its reason
        logging.getLogger(library).addHandler(logging.NullHandler())
