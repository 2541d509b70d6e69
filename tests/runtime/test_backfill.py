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

from dfmon.cli.backfill import Bar, Fill, clock_words, in_words
from dfmon.config import Config
from dfmon.engine.hub import BackfillProgress
from dfmon.runtime.backfill import ArchiveError, Meter, read_history
from dfmon.sim.deribit.archive import Trouble
from dfmon.sim.server import SimConfig, SimServer
from dfmon.store.trades import LAYOUT, Kept, TradeStore, TradeStoreError
from dfmon.venues.deribit.trades.history import Lives

DFMON = [sys.executable, "-m", "dfmon"]


LISTED = 60


@pytest.fixture
async def exchange() -> AsyncIterator[tuple[SimServer, Config]]:
    """A simulated exchange that lists some options and whose market stands still, and where to find it."""
    server = SimServer(SimConfig(currencies=("BTC",), history=0.1, speed=0.001))
    listing = server.deribit._methods._table["public/get_instruments"]
    server.deribit._methods._table["public/get_instruments"] = lambda params: listing(params)[:LISTED]  # type: ignore[index]
    rest = (await server.start()).deribit_rest
    replace = msgspec.structs.replace
    config = replace(
        Config(),
        market=replace(Config().market, currencies=("BTC",)),
        deribit=replace(Config().deribit, rest=rest, archive=rest, archive_pace=200.0),
    )
    yield server, config
    await server.stop()


def printed(server: SimServer) -> dict[str, int]:
    """How many prints each listed option has."""
    market = server.market.currencies["BTC"]
    return {name: len(market.tape.of(name)) for name in market.board.names[:LISTED]}


def fill(config: Config, store: TradeStore, bar: Bar | None = None) -> Fill:
    return Fill(config, store, bar or Bar(io.StringIO()))


async def test_every_option_is_read_from_its_first_print_to_its_last(
    exchange: tuple[SimServer, Config], tmp_path: Path
) -> None:
    server, config = exchange
    with TradeStore(tmp_path / "t.sqlite", every_s=None) as store:
        alone = fill(config, store)
        await alone.run()
        count = printed(server)
        assert {name: about.whole for name, about in store.kept().items()} == count
        busy = max(count, key=lambda name: count[name])
        tape = server.market.currencies["BTC"].tape.of(busy)
        assert [(row[1], row[5]) for row in store.read(busy, 10_000)] == [(t.seq, t.amount) for t in tape]
        assert alone.given_up == {}
        again = fill(config, store)
        await again.run()
        assert again.summary(Path(), "").startswith(f"0 of 0 options read, 0 new prints, {LISTED} read within the hour")


async def test_an_archive_that_is_not_at_its_best_gives_the_same(
    exchange: tuple[SimServer, Config], tmp_path: Path
) -> None:
    server, config = exchange
    troubles: Iterator[Trouble] = cycle(("unordered", "repeats", "stops", "strange"))

    class Turning(Bar):
        def show(self, progress: BackfillProgress) -> None:
            server.faults.archive = next(troubles)

    with TradeStore(tmp_path / "t.sqlite", every_s=None) as store:
        alone = fill(config, store, Turning(io.StringIO()))
        await alone.run()
        assert {name: about.whole for name, about in store.kept().items()} == printed(server)
        assert alone.given_up == {}


async def test_an_archive_without_rows_is_told_by_name(exchange: tuple[SimServer, Config], tmp_path: Path) -> None:
    server, config = exchange
    server.faults.archive = "empty"
    with TradeStore(tmp_path / "t.sqlite", every_s=None) as store:
        alone = fill(config, store)
        await alone.run()
        assert set(alone.given_up.values()) == {"the archive stops at print 0"}
        assert alone.given_up.keys() == printed(server).keys()
        assert f"{LISTED} without a whole history (" in alone.summary(Path(), "")
        assert store.kept() == {}


async def test_a_store_of_another_market_is_read_anew(exchange: tuple[SimServer, Config], tmp_path: Path) -> None:
    server, config = exchange
    count = printed(server)
    with TradeStore(tmp_path / "t.sqlite", every_s=None, keep_days=9e4) as store:
        await fill(config, store).run()
        busy = max(count, key=lambda name: count[name])
        store._db.execute("UPDATE prints SET trade_id = 'x' || trade_id")
        store._db.execute("UPDATE options SET read_ns = 1")
        store._db.commit()
        await fill(config, store).run()
        first = server.market.currencies["BTC"].tape.of(busy)[0]
        assert [row[0] for row in store.read(busy, 1)] == [str(first.number)]
        assert {name: about.whole for name, about in store.kept().items()} == count


async def test_an_archive_that_is_away_is_waited_for_and_then_said(monkeypatch: pytest.MonkeyPatch) -> None:
    lives, meter, waited = Lives(), None, list[float]()
    meter = Meter(lives)

    async def ask(name: str) -> str:
        return "HTTP 429"

    async def pause(seconds: float) -> None:
        waited.append(seconds)
        assert "HTTP 429; next try in" in meter.progress().trouble

    with pytest.raises(ArchiveError, match="the archive does not answer: HTTP 429"):
        await read_history("X", lives, ask, meter, pause=pause, most_waits=6)
    assert waited == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0]


def test_the_bar_is_one_line_on_a_terminal_and_lines_elsewhere() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    progress = BackfillProgress(600, 1200, 34_567, 890.4, 75.0)
    now = [0.0]
    terminal, pipe = Terminal(), io.StringIO()
    bar, lines = Bar(terminal, lambda: now[0]), Bar(pipe, lambda: now[0])
    for now[0] in (0.0, 0.1, 10.0):
        bar.show(progress)
        lines.show(progress)
    assert terminal.getvalue().count("\r") == 2
    assert "[############------------] 600/1200, 34,567 prints, 890/s, 1:15 left\x1b[K" in terminal.getvalue()
    assert pipe.getvalue() == "dfmon backfill: 600/1200, 34,567 prints, 890/s, 1:15 left\n"
    assert max(len(line) for line in terminal.getvalue().split("\r")) < 90


def test_words_of_the_bar() -> None:
    assert clock_words(3725.0) == "1:02:05"
    assert in_words(BackfillProgress(0, 9, 0, 0.0, None, "archive: HTTP 503; next try in 4 s")).startswith("archive")
    assert in_words(BackfillProgress(0, 9, 0, 0.0, None)) == "0/9, 0 prints, 0/s"


def _run(*words: str, state: Path) -> subprocess.Popen[bytes]:
    where = {"XDG_STATE_HOME": str(state), "XDG_CONFIG_HOME": str(state), "PATH": "/usr/bin:/bin", "HOME": str(state)}
    return subprocess.Popen([*DFMON, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=where)


@contextmanager
def simulated() -> Iterator[str]:
    """A simulated exchange in a process of its own; its REST address."""
    command = [*DFMON, "sim", "--child", "--currency", "BTC", "--speed", "0.001"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            yield msgspec.json.decode(child.stdout.readline())["deribit_rest"]
        finally:
            child.stdin.close()
            child.wait(10.0)


@pytest.mark.slow
def test_a_backfill_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    draw = random.Random(11)
    with simulated() as rest:
        words = ("backfill", "--currency", "BTC", "--from", rest, "--pace", "200")
        for kill in range(1, 4):
            with _run(*words, state=tmp_path) as child:
                asyncio.run(_until_kept(tmp_path, 60 * kill + draw.randrange(50)))
                assert child.poll() is None
                child.send_signal(signal.SIGKILL)
        (path,) = (tmp_path / "dfmon").glob("*/trades.sqlite")
        before = _kept(path)
        assert len(before) >= 180
        with _run(*words, state=tmp_path) as child:
            out, _ = child.communicate(timeout=60.0)
        assert child.returncode == 0, out
        whole = _kept(path)
        read = sum(about.read_ns > 0 for about in before.values())
        assert f"{read} read within the hour" in out.decode()
        assert all(whole[name].whole >= about.whole for name, about in before.items())
        assert all(about.read_ns for about in whole.values())


def _kept(path: Path) -> dict[str, Kept]:
    with TradeStore(path, every_s=None) as store:
        return store.kept()


@pytest.mark.slow
def test_a_signal_ends_it_with_a_summary_and_its_number(tmp_path: Path) -> None:
    with (
        simulated() as rest,
        _run("backfill", "--currency", "BTC", "--from", rest, "--pace", "5", state=tmp_path) as child,
    ):
        asyncio.run(_until_kept(tmp_path, 1))
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20.0)
    assert child.returncode == 130
    assert b"stopped; run it again to go on" in out
    assert out.count(b"\n") == 1
    assert err == b""


async def _until_kept(folder: Path, count: int) -> None:
    """Until so many options are in the store that another process fills."""
    async with asyncio.timeout(60.0):
        while not any(_count(path) >= count for path in folder.glob("dfmon/*/trades.sqlite")):
            await asyncio.sleep(0.02)


def _count(path: Path) -> int:
    try:
        with closing(LAYOUT.open_read_only(path)) as db:
            found: int = db.execute("SELECT count(*) FROM options").fetchone()[0]
            return found
    except TradeStoreError:  # it is being made at this moment
        return 0


@pytest.mark.slow
def test_without_a_place_to_keep_prints_it_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "dfmon").mkdir()
    (tmp_path / "dfmon" / "config.toml").write_text("[history]\nenabled = false\n")
    with _run("backfill", state=tmp_path) as child:
        _, err = child.communicate(timeout=20.0)
    assert child.returncode == 2
    assert err == b"dfmon: backfill: history.enabled is false, so there is nowhere to keep prints; allowed: true\n"
