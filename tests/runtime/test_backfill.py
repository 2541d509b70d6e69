"""`dfmon backfill` against the simulated exchange: whole lives, gone on with after a kill, words for every trouble."""

from __future__ import annotations

import asyncio
import io
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from itertools import cycle
from pathlib import Path

import msgspec
import pytest

from dfmon.cli.backfill import StandaloneBackfill, progress_text, standalone_backfills
from dfmon.cli.progress_bar import ProgressBar
from dfmon.config import Config
from dfmon.engine.hub import BackfillProgress
from dfmon.runtime.backfill import ArchiveError, BackfillMeter, fetch_history
from dfmon.sim.deribit.archive_faults import ArchiveFault
from dfmon.sim.server import SimConfig, SimServer
from dfmon.store.trades import TRADES_SCHEMA, StoredTrades, TradeStore, TradeStoreError
from dfmon.venues.deribit.trades.history import TradeHistoryCollector
from tests.live_sessions import limit_listing

pytestmark = pytest.mark.slow

DFMON = [sys.executable, "-m", "dfmon"]


LISTED = 60


@pytest.fixture
async def exchange() -> AsyncIterator[tuple[SimServer, Config]]:
    """A simulated exchange that lists some options and whose market stands still, and where to find it."""
    server = SimServer(SimConfig(currencies=("BTC",), history=0.1, speed=0.001))
    limit_listing(server, LISTED)
    rest = (await server.start())["deribit"].rest
    replace = msgspec.structs.replace
    config = replace(
        Config(),
        market=replace(Config().market, currencies=("BTC",)),
        deribit=replace(Config().venue("deribit"), rest=rest, archive=rest, archive_pace=200.0),
    )
    yield server, config
    await server.stop()


def print_counts(server: SimServer) -> dict[str, int]:
    """How many prints each listed option has."""
    market = server.market.currencies["BTC"]
    return {name: len(market.trade_log.instrument_trades(name)) for name in market.board.names[:LISTED]}


def standalone_backfill(config: Config, store: TradeStore, bar: ProgressBar | None = None) -> StandaloneBackfill:
    (backfill,) = standalone_backfills(config, store, bar or ProgressBar(io.StringIO(), "dfmon backfill"))
    return backfill


async def test_every_option_is_read_from_its_first_print_to_its_last(
    exchange: tuple[SimServer, Config], tmp_path: Path
) -> None:
    server, config = exchange
    with TradeStore(tmp_path / "t.sqlite", flush_interval_s=None) as store:
        first_run = standalone_backfill(config, store)
        await first_run.run()
        expected = print_counts(server)
        assert {name: stored.contiguous_count for name, stored in store.stored().items()} == expected
        busiest = max(expected, key=lambda name: expected[name])
        trade_log = server.market.currencies["BTC"].trade_log.instrument_trades(busiest)
        assert [(row[1], row[5]) for row in store.read_rows(busiest, 10_000)] == [(t.seq, t.amount) for t in trade_log]
        assert first_run.given_up == {}
        second_run = standalone_backfill(config, store)
        await second_run.run()
        assert second_run.summary(Path(), "").startswith(
            f"0 of 0 options read, 0 new prints, {LISTED} read within the hour"
        )


async def test_an_archive_that_is_not_at_its_best_gives_the_same(
    exchange: tuple[SimServer, Config], tmp_path: Path
) -> None:
    server, config = exchange
    archive_faults: Iterator[ArchiveFault] = cycle(("unordered", "repeats", "stops", "strange"))

    class FaultRotatingBar(ProgressBar):
        def draw(self, share: float, text: str) -> None:
            server.faults.archive = next(archive_faults)

    with TradeStore(tmp_path / "t.sqlite", flush_interval_s=None) as store:
        first_run = standalone_backfill(config, store, FaultRotatingBar(io.StringIO(), ""))
        await first_run.run()
        assert {name: stored.contiguous_count for name, stored in store.stored().items()} == print_counts(server)
        assert first_run.given_up == {}


async def test_an_archive_without_rows_is_told_by_name(exchange: tuple[SimServer, Config], tmp_path: Path) -> None:
    server, config = exchange
    server.faults.archive = "empty"
    with TradeStore(tmp_path / "t.sqlite", flush_interval_s=None) as store:
        first_run = standalone_backfill(config, store)
        await first_run.run()
        assert set(first_run.given_up.values()) == {"the archive stops at print 0"}
        assert first_run.given_up.keys() == print_counts(server).keys()
        assert f"{LISTED} without a full history (" in first_run.summary(Path(), "")
        assert store.stored() == {}


async def test_a_store_of_another_market_is_read_anew(exchange: tuple[SimServer, Config], tmp_path: Path) -> None:
    server, config = exchange
    expected = print_counts(server)
    with TradeStore(tmp_path / "t.sqlite", flush_interval_s=None, keep_days=9e4) as store:
        await standalone_backfill(config, store).run()
        busiest = max(expected, key=lambda name: expected[name])
        store._db.execute("UPDATE prints SET trade_id = 'x' || trade_id")
        store._db.execute("UPDATE options SET read_ns = 1")
        store._db.commit()
        await standalone_backfill(config, store).run()
        first = server.market.currencies["BTC"].trade_log.instrument_trades(busiest)[0]
        assert [row[0] for row in store.read_rows(busiest, 1)] == [str(first.number)]
        assert {name: stored.contiguous_count for name, stored in store.stored().items()} == expected


async def test_an_archive_that_is_away_is_waited_for_and_then_said(monkeypatch: pytest.MonkeyPatch) -> None:
    histories, meter, delays = TradeHistoryCollector(), None, list[float]()
    meter = BackfillMeter(histories)

    async def fetch_page(name: str) -> str:
        return "HTTP 429"

    async def sleep(seconds: float) -> None:
        delays.append(seconds)
        assert "HTTP 429; next try in" in meter.progress().error

    with pytest.raises(ArchiveError, match="the archive does not respond: HTTP 429"):
        await fetch_history("X", histories, fetch_page, meter, sleep=sleep, max_retries=6)
    assert delays == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0]


def test_the_bar_is_one_line_on_a_terminal_and_lines_elsewhere() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    progress = BackfillProgress(600, 1200, 34_567, 890.4, 75.0)
    now = [0.0]
    terminal, pipe = Terminal(), io.StringIO()
    bar, lines = (ProgressBar(out, "dfmon backfill", lambda: now[0]) for out in (terminal, pipe))
    for now[0] in (0.0, 0.1, 10.0):
        bar.draw(0.5, progress_text(progress))
        lines.draw(0.5, progress_text(progress))
    assert terminal.getvalue().count("\r") == 2
    assert "[############------------] 600/1200, 34,567 prints, 890/s, 0:01:15 left\x1b[K" in terminal.getvalue()
    assert pipe.getvalue() == "dfmon backfill: 600/1200, 34,567 prints, 890/s, 0:01:15 left\n"
    assert max(len(line) for line in terminal.getvalue().split("\r")) < 90


def test_words_of_the_bar() -> None:
    assert progress_text(BackfillProgress(0, 9, 0, 0.0, None, "archive: HTTP 503; next try in 4 s")).startswith(
        "archive"
    )
    assert progress_text(BackfillProgress(0, 9, 0, 0.0, None)) == "0/9, 0 prints, 0/s"


def _run(*args: str, state: Path) -> subprocess.Popen[bytes]:
    env = {"XDG_STATE_HOME": str(state), "XDG_CONFIG_HOME": str(state), "PATH": "/usr/bin:/bin", "HOME": str(state)}
    return subprocess.Popen([*DFMON, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)


@contextmanager
def simulated() -> Iterator[str]:
    """A simulated exchange in a process of its own; its REST address."""
    command = [*DFMON, "sim", "--child", "--currency", "BTC", "--speed", "0.001"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            yield msgspec.json.decode(child.stdout.readline())["deribit"]["rest"]
        finally:
            child.stdin.close()
            child.wait(60.0)


def test_a_backfill_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    rng = random.Random(11)
    with simulated() as rest:
        args = ("backfill", "--currency", "BTC", "--from", rest, "--pace", "200")
        for kill in (1, 2):
            with _run(*args, state=tmp_path) as child:
                asyncio.run(_until_stored(tmp_path, 60 * kill + rng.randrange(50)))
                assert child.poll() is None
                child.send_signal(signal.SIGKILL)
        (path,) = (tmp_path / "dfmon").glob("*/trades.sqlite")
        stored_before = _stored(path)
        assert len(stored_before) >= 120
        with _run(*args, state=tmp_path) as child:
            out, _ = child.communicate(timeout=60.0)
        assert child.returncode == 0, out
        stored_after = _stored(path)
        recent = sum(stored.read_ns > 0 for stored in stored_before.values())
        assert f"{recent} read within the hour" in out.decode()
        assert all(
            stored_after[name].contiguous_count >= stored.contiguous_count for name, stored in stored_before.items()
        )
        assert all(stored.read_ns for stored in stored_after.values())


def _stored(path: Path) -> dict[str, StoredTrades]:
    with TradeStore(path, flush_interval_s=None) as store:
        return store.stored()


def test_a_signal_ends_it_with_a_summary_and_its_number(tmp_path: Path) -> None:
    with (
        simulated() as rest,
        _run("backfill", "--currency", "BTC", "--from", rest, "--pace", "5", state=tmp_path) as child,
    ):
        asyncio.run(_until_stored(tmp_path, 1))
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert b"stopped; run it again to resume" in out
    assert out.count(b"\n") == 1
    assert err == b""


async def _until_stored(folder: Path, count: int) -> None:
    """Until so many options are in the store that another process fills."""
    async with asyncio.timeout(60.0):
        while not any(_count(path) >= count for path in folder.glob("dfmon/*/trades.sqlite")):
            await asyncio.sleep(0.02)


def _count(path: Path) -> int:
    try:
        with closing(TRADES_SCHEMA.open_read_only(path)) as db:
            count: int = db.execute("SELECT count(*) FROM options").fetchone()[0]
            return count
    except TradeStoreError:  # it is being made at this moment
        return 0


def test_without_a_place_to_keep_prints_it_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "dfmon").mkdir()
    (tmp_path / "dfmon" / "config.toml").write_text("[history]\nenabled = false\n")
    with _run("backfill", state=tmp_path) as child:
        _, err = child.communicate(timeout=60)
    assert child.returncode == 2
    assert err == b"dfmon: backfill: history.enabled is false, so prints cannot be stored; allowed: true\n"
