"""The commands and options of the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn, TypeAlias

from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize
from dfmon.version import __version__


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence that points to the help."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{sanitize(message, 300)}; see `{self.prog} --help`")


_Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001, it has no public name


def build_parser() -> Parser:
    """The parser of every command and option."""
    common = _common_options()
    root = Parser(
        prog="dfmon",
        description="Dealer flow in crypto options, in the terminal. Without a command: the live monitor.",
        parents=[common],
    )
    root.add_argument("--version", action="version", version=f"dfmon {__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)

    demo = commands.add_parser(
        "demo", parents=[common], help="the live monitor on a simulated exchange, without a network"
    )
    _add_market_options(demo)

    replay = commands.add_parser(
        "replay", parents=[common], help="a recording, a capture or recorded boards on the screen"
    )
    _add_replay_options(replay)

    attach = commands.add_parser("attach", parents=[common], help="the screen on the snapshots of other dfmons")
    attach.add_argument(
        "urls", nargs="+", metavar="URL",
        help="redis:// of its --redis or http:// of its --rest; of several the first arrival counts",
    )  # fmt: skip

    record = commands.add_parser("record", parents=[common], help="record every raw frame, without a screen")
    record.add_argument("directory", metavar="DIR", help="directory of the recording")
    record.add_argument("--minutes", type=_minutes, metavar="M", help="stop after M minutes")

    snapshot = commands.add_parser("snapshot", parents=[common], help="one snapshot, as text or JSON")
    _add_snapshot_options(snapshot)
    _add_open(commands, common)

    positions = commands.add_parser("positions", parents=[common], help="dealer positions with their origins, as CSV")
    _add_positions_options(positions)

    explain = commands.add_parser(
        "explain", parents=[common], help="a number or word with its formula, inputs and parts"
    )
    _add_explain_options(explain)

    _add_evidence(commands, common)
    _add_records(commands, common)
    _add_operation(commands, common)
    return root


def _add_open(commands: _Commands, common: Parser) -> None:
    opened = commands.add_parser("open", parents=[common], help="the screen that a locator names")
    opened.add_argument("locator", metavar="LOCATOR", help="a locator as `y` copies it: dfmon://BTC/heatmap?layer=vss")
    opened.add_argument(
        "source", nargs="?", metavar="SOURCE",
        help="demo, a recording or board, or the URL of a running dfmon; without it the live market",
    )  # fmt: skip


def _add_operation(commands: _Commands, common: Parser) -> None:
    """Commands around the monitor: history, checks, configuration, simulated exchange."""
    backfill = commands.add_parser(
        "backfill", parents=[common], help="download the trade history of every listed option; resumable"
    )
    backfill.add_argument(
        "--from", dest="venue", metavar="URL", help="address of listing and archive, such as that of dfmon sim"
    )
    backfill.add_argument("--pace", metavar="N", help="calls a second to the archive (default 4)")

    export = commands.add_parser("export", parents=[common], help="rows of the history as CSV or Parquet")
    _add_export_options(export)

    mcp = commands.add_parser("mcp", parents=[common], help="read-only tools for agents, over stdin and stdout")
    mcp.add_argument(
        "source", nargs="?", metavar="SOURCE",
        help="a recording, a capture, a board file, or the URL of a running dfmon's --rest; without it the live market",
    )  # fmt: skip

    alerts = commands.add_parser("alerts", parents=[common], help="try alert rules on a recording")
    _add_alerts_options(alerts)

    serve = commands.add_parser("serve", parents=[common], help="the screen in a browser, one dfmon for each page")
    serve.add_argument(
        "source", nargs="?", metavar="SOURCE",
        help="demo, a recording or board, or the URL of a running dfmon; without it the live market",
    )  # fmt: skip
    serve.add_argument(
        "--listen", default="127.0.0.1:8780", metavar="HOST:PORT",
        help="address (default 127.0.0.1:8780); beyond loopback with the token of --rest",
    )  # fmt: skip

    doctor = commands.add_parser("doctor", parents=[common], help="check feeds, clock, rate limits, disk and terminal")
    doctor.add_argument("--json", action="store_true", help="one JSON object")

    config = commands.add_parser("config", parents=[common], help="path, check or contents of the configuration file")
    config.add_argument(
        "action", choices=("path", "init", "check", "show"),
        help="path: where it is; init: write one to edit; check: validate; show: all settings and where they are set",
    )  # fmt: skip

    sim = commands.add_parser("sim", help="serve the simulated exchange on loopback")
    _add_sim_options(sim)


def _common_options() -> Parser:
    common = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    market = common.add_argument_group("market")
    market.add_argument("--currency", metavar="BTC,ETH", help="underlyings; the first one is shown first")
    market.add_argument("--positions", metavar="MODEL", help="dealer positions: flow, naive, short-all or file:PATH")
    market.add_argument(
        "--numeraire", metavar="usd|coin", help="dealers hedge in dollars, or in coins (premium-adjusted)"
    )
    market.add_argument(
        "--stickiness", metavar="strike|moneyness", help="what stays fixed in volatility when spot moves"
    )
    market.add_argument("--tick", metavar="S", help="seconds between snapshots (default 1)")
    market.add_argument("--config", type=Path, metavar="FILE", help="configuration file (TOML)")
    market.add_argument(
        "--env-file", type=Path, metavar="FILE", help="file of DFMON_ variables (default .env where dfmon starts)"
    )
    screen = common.add_argument_group("screen")
    screen.add_argument("--rate", metavar="HZ", help="frames a second, 0.1 to 4 (default 1)")
    screen.add_argument("--palette", metavar="NAME", help="dark, light, colour-blind, green-red or mono")
    screen.add_argument("--icons", metavar="SET", help="unicode, ascii or braille")
    screen.add_argument(
        "--plain", action="store_true", help="ASCII without colours, for screen readers and serial lines"
    )
    screen.add_argument(
        "--no-mouse", dest="mouse", action="store_false", help="leave clicks and the wheel to the terminal"
    )
    screen.add_argument(
        "--book", type=Path, metavar="FILE", help="your own positions beside the dealers' (key B); never published"
    )
    screen.add_argument("--low-bandwidth", action="store_true", help="fewer frames and bytes for slow connections")
    out = common.add_argument_group("without a screen")
    out.add_argument(
        "--publish", nargs="?", const="changes", choices=("changes", "all"), metavar="changes|all",
        help="JSON lines on stdout instead of a screen: at state changes (default) or of every snapshot",
    )  # fmt: skip
    out.add_argument("--every", metavar="S", help="seconds between lines while nothing changes (default 10)")
    out.add_argument(
        "--redis",
        metavar="URL",
        help="also publish to Redis (redis://, rediss://, redis+sentinel://, redis+cluster://): ticks, streams, events",
    )
    out.add_argument("--rest", metavar="HOST:PORT", help="also serve REST, websocket and Prometheus: /docs")
    out.add_argument("--record", metavar="DIR", help="also record every raw frame into DIR")
    out.add_argument("--log-file", type=Path, metavar="FILE", help="log to FILE instead of stderr")
    return common


def _add_replay_options(replay: argparse.ArgumentParser) -> None:
    replay.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="a recording (file or directory), a capture of cryptofeed or hftbacktest, or a board file",
    )
    replay.add_argument("--speed", type=_speed, default=1.0, help="multiple of real time, or max (default 1)")
    replay.add_argument("--paused", action="store_true", help="start paused")
    replay.add_argument(
        "--from", dest="start", metavar="TIME",
        help="start: a UTC time such as 2026-01-22T12:30:00, +S seconds after the beginning, or =-S before the end",
    )  # fmt: skip
    replay.add_argument("--info", action="store_true", help="print what FILE contains and whether it is complete")
    replay.add_argument("--until", metavar="TIME", help="end, written like --from")
    replay.add_argument(
        "--across-gaps", action="store_true", help="continue behind missing records as after a lost connection"
    )


def _add_snapshot_options(snapshot: argparse.ArgumentParser) -> None:
    _add_source(snapshot)
    snapshot.add_argument(
        "of", nargs="?", metavar="OF", help="where SOURCE is a locator, dfmon://COIN/SCREEN: the source that it is of"
    )
    snapshot.add_argument("--json", action="store_true", help="one JSON object; of a locator its table, else as CSV")
    snapshot.add_argument(
        "--explain-format",
        action="store_true",
        help="instead: how a board file is read, its columns, what was inferred, and the rows left out by line",
    )
    snapshot.add_argument("--detail", action="store_true", help="with --json: add heat-map, profile, tape and alerts")


def _add_source(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="a recording, a capture, a board file, or the URL of a running dfmon; without it the live market",
    )
    _add_at(command)
    command.add_argument(
        "--timeout", type=_seconds, default=30.0, metavar="S", help="seconds to wait for live data (default 30)"
    )


def _add_at(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--at", metavar="TIME",
        help="of a file the newest board or tick at or before TIME, written like --from of replay (default: its end)",
    )  # fmt: skip


def _add_positions_options(positions: argparse.ArgumentParser) -> None:
    _add_source(positions)
    positions.add_argument("--by", choices=("option", "expiry"), default="option", help="a row an option, or an expiry")
    form = positions.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="comma-separated values with a header; empty where unknown")
    form.add_argument("--json", action="store_true", help="one JSON object with the rows")


def _add_explain_options(explain: argparse.ArgumentParser) -> None:
    explain.add_argument(
        "metric", metavar="METRIC", help="a metric such as ngi or flip, or a word such as side or regime"
    )
    explain.add_argument(
        "source", nargs="?", metavar="SOURCE",
        help="a recording, a capture, a board file, or the URL of a running dfmon's --rest; without it the live market",
    )  # fmt: skip
    _add_at(explain)
    explain.add_argument("--json", action="store_true", help="one JSON object")
    explain.add_argument(
        "--timeout", type=_seconds, default=30.0, metavar="S", help="seconds to wait for live data (default 30)"
    )


def _add_export_options(export: argparse.ArgumentParser) -> None:
    export.add_argument("file", metavar="FILE", help="a .csv or .parquet file; - writes CSV to stdout")
    export.add_argument(
        "--table",
        choices=("ticks", "minutes", "hours", "positions", "transitions", "thresholds", "alerts", "scores"),
        default="ticks",
        help="ticks (default), their roll-ups, hourly positions and scores, scenario or threshold changes, alerts",
    )
    export.add_argument(
        "--from", dest="start", metavar="TIME",
        help="start: a UTC time such as 2026-01-22T12:30:00, +S seconds after the first row, or =-S before the last",
    )  # fmt: skip
    export.add_argument("--to", dest="end", metavar="TIME", help="end, which is not included, written like --from")
    export.add_argument("--metrics", metavar="ngi,vss", help="columns of ticks and roll-ups (default all)")


def _add_alerts_options(alerts: argparse.ArgumentParser) -> None:
    alerts.add_argument("action", choices=("try",), help="try: say when each rule would have fired, and why not")
    alerts.add_argument("rules", type=Path, metavar="RULES", help="a configuration file with tables [[alert]]")
    alerts.add_argument(
        "recording", type=Path, metavar="RECORDING", help="a recording, a capture or a file of recorded boards"
    )
    alerts.add_argument("--from", dest="start", metavar="TIME", help="start, written like that of dfmon replay")
    alerts.add_argument("--until", metavar="TIME", help="end, written like --from")


def _add_sim_options(sim: argparse.ArgumentParser) -> None:
    sim.add_argument("--port", type=int, default=0, help="first of four ports; 0 takes free ones (default)")
    sim.add_argument("--speed", type=float, default=1.0, help="multiple of real time (default 1)")
    sim.add_argument("--currency", default="BTC,ETH", help="coins to trade (default BTC,ETH)")
    sim.add_argument(
        "--certificate", default="", metavar="FILE", help="serve TLS with the certificate and key of this PEM file"
    )
    sim.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    _add_market_options(sim)


def _add_market_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--script", default="", metavar="NAME", help="lead the market on a fast clock; regimes: all six scenarios"
    )
    command.add_argument(
        "--feedback", type=float, nargs="?", const=1.0, default=0.0, metavar="SHARE",
        help="dealers' hedges move the price, a minute late, by this share of psi (default 0: they do not; alone: 1)",
    )  # fmt: skip
    command.add_argument("--seed", type=int, default=7, help="seed of the simulated market (default 7)")


def _add_evidence(commands: _Commands, common: Parser) -> None:
    """Evaluation against what followed."""
    evidence = commands.add_parser(
        "evidence", parents=[common], help="test dfmon's numbers against what followed, nulls first"
    )
    evidence.add_argument(
        "source",
        metavar="SOURCE",
        help="a recording, recorded boards, a history file, history (that of the configuration, also in ClickHouse), "
        "or a simulated market: sim:SEED[:DAYS][:null]",
    )
    form = evidence.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object")
    form.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained page with plots")
    evidence.add_argument(
        "--ledger", type=Path, metavar="FILE", help="ledger of hypotheses and runs (default: in the state folder)"
    )

    compare = commands.add_parser(
        "compare", parents=[common], help="a third party's figures beside dfmon's, with the cause of each difference"
    )
    compare.add_argument(
        "vendor", choices=("r1quant", "tera1oo4", "okx", "deribit", "venues"),
        help="who published the file; venues: the boards of two venues at the same times",
    )  # fmt: skip
    compare.add_argument("file", metavar="FILE", help="its figures, a chain with its greeks, or boards")
    compare.add_argument("--chain", type=Path, metavar="FILE", help="the options, where they are a file of their own")
    compare.add_argument("--other", type=Path, metavar="FILE", help="venues: the boards of the other venue")
    compare.add_argument("--json", action="store_true", help="venues: one JSON object a pair of boards, a line each")


def _add_records(commands: _Commands, common: Parser) -> None:
    """Positions of record, and files of other origin."""
    recorder = commands.add_parser(
        "record-book",
        parents=[common],
        help="the dealer book of the day as a file of record (Parquet), in a hash chain",
    )
    recorder.add_argument("folder", type=Path, metavar="DIR", help="where the files of record are")
    _add_source(recorder)
    verifier = commands.add_parser(
        "verify-book",
        parents=[common],
        help="check files of record: the first that was changed, removed or put elsewhere",
    )
    verifier.add_argument("folder", type=Path, metavar="DIR", help="where the files of record are")
    verifier.add_argument("--head", metavar="HASH", help="hash of a last line, kept elsewhere, that must be there")

    importer = commands.add_parser(
        "import", parents=[common], help="CME's settlements beside a board; a CSV of Deribit's trades into the store"
    )
    importer.add_argument("kind", choices=("cme", "deribit-csv"), help="what FILE holds")
    importer.add_argument("file", metavar="FILE", help="settlements of a day, or trades")
    importer.add_argument("--board", type=Path, metavar="BOARD", help="cme: a board file of about the same time")


def _speed(text: str) -> float:
    try:
        speed = float("inf") if text == "max" else float(text)
    except ValueError:
        speed = 0.0
    if not speed > 0.0:
        raise argparse.ArgumentTypeError(f"{text!r}, a number above 0 or max is expected")
    return speed


def _seconds(text: str, unit: str = "seconds") -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r}, {unit} above 0 are expected")
    return seconds


def _minutes(text: str) -> float:
    return _seconds(text, "minutes")
