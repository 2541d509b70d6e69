"""Worlds as tests: equal to the bit, seeds that once failed, and the parts that they are made of."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dfmon.engine.market import LocalBook
from dfmon.model.errors import UsageError
from dfmon.sim.market.ladder import BookChange, Ladder, LadderSpec
from tests.worlds.__main__ import main, parse_seeds
from tests.worlds.books import book_differences
from tests.worlds.frames import FrameEditor, text_frame
from tests.worlds.layers import Layers
from tests.worlds.loop import PROCESS, DeadlockError, Process, WorldLoop
from tests.worlds.network import Network
from tests.worlds.plan import Injection, Plan, plan_of_seed, read_plan, write_plan
from tests.worlds.planted import PLANTED, PlantedBug

ROOT = Path(__file__).parents[2]
# each has failed before the fault was mended that it is named for
REGRESSIONS = {
    "two ticks at the moment of a timer that fires early": Plan(1, 1.5, ()),
    "a channel that was left out once is never requested again": Plan(
        2, 4.0, (Injection("refused-channels", 30.0, 20.0, "deribit"),), 4.0
    ),
}


def run_in_process(plan: Plan, folder: Path, **environment: str) -> str:
    """What a process of its own prints about the world, without the figures of the machine."""
    write_plan(plan, folder / "world.json")
    command = [sys.executable, "-m", "tests.worlds", "--no-shrink", "--world", str(folder / "world.json")]
    completed = subprocess.run(
        [*command, "--out", str(folder / "out"), "--digests"],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert not completed.returncode, completed.stdout + completed.stderr
    (line,) = [line for line in completed.stdout.splitlines() if line.startswith("digest")]
    return line


@pytest.mark.slow
def test_a_world_is_equal_to_the_bit_under_another_hash_seed_and_in_debug_mode(tmp_path: Path) -> None:
    plan = Plan(
        5, 1.0,
        (Injection("reset", 12.0, 5.0, ""), Injection("keys", 15.0, 20.0, ""), Injection("kill", 30.0, 5.0, "")),
        2.0,
    )  # fmt: skip
    first = run_in_process(plan, tmp_path, PYTHONHASHSEED="1")
    assert first == run_in_process(plan, tmp_path, PYTHONHASHSEED="2", PYTHONASYNCIODEBUG="1")


@pytest.mark.slow
@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_world_that_failed_once_holds(name: str, tmp_path: Path) -> None:
    run_in_process(REGRESSIONS[name], tmp_path)


# ---- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--faults", "rest,reset"], "no fault is named 'rest'; there are reset, half-close"),
        (["--seeds", "x"], "--seeds: found 'x', allowed are a number, a range such as 0..999, or random:COUNT"),
        (["--seeds", "9..3"], "--seeds: found '9..3'"),
        (["--minutes", "1"], "--minutes: found '1', allowed are numbers from 5 to 1440"),
        (["--tick", "0"], "--tick: found '0', allowed are numbers from 0.1 to 60"),
        (["--tick", "nan"], "--tick: found 'nan'"),
        (["--seeds", "1", "--jobs", "x"], "--jobs: found 'x', allowed are numbers from 1 to 1000"),
        (["--world", "/nowhere.json"], "/nowhere.json: no such file or directory"),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"tests.worlds: {sentence}")
    assert said.count("\n") == 1


def test_a_world_of_another_version_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "world.json"
    write_plan(plan_of_seed(7), file)
    assert read_plan(file) == plan_of_seed(7)
    file.write_text(file.read_text().replace('"version": 1', '"version": 9'))
    with pytest.raises(UsageError, match="a world of version 9, this is version 1"):
        read_plan(file)
    file.write_text(file.read_text().replace('"version": 9', '"version": 1').replace('"tick_s": 1.0', '"tick_s": 0.0'))
    with pytest.raises(UsageError, match=r"is no world: Expected `float` >= 0\.1"):
        read_plan(file)
    file.write_text("[]")
    with pytest.raises(UsageError, match="is no world"):
        read_plan(file)


def test_seeds_are_a_number_a_range_or_random() -> None:
    assert parse_seeds("7") == [7]
    assert parse_seeds("3..5") == [3, 4, 5]
    assert len(parse_seeds("random:4")) == 4


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.name)
def test_the_place_of_a_planted_bug_is_there(bug: PlantedBug) -> None:
    assert (ROOT / "dfmon" / bug.file).read_text(encoding="utf-8").count(bug.old) == 1


# ---- loop and network ----------------------------------------------------------------------------------------------


def test_time_jumps_and_a_loop_without_timers_says_so() -> None:
    loop = WorldLoop(random.Random(1))
    loop.run_until_complete(asyncio.sleep(3600.0))
    assert 3600.0 <= loop.time() < 3601.0
    with pytest.raises(DeadlockError):
        loop.run_until_complete(loop.create_future())
    loop.close()


def test_what_is_killed_runs_no_further_line() -> None:
    loop, lines = WorldLoop(random.Random(1)), list[str]()
    process = Process("p")

    async def program() -> None:
        PROCESS.set(process)
        try:
            lines.append("began")
            await asyncio.sleep(10.0)
            lines.append("went on")
        finally:
            lines.append("cleaned up")

    task = loop.create_task(program())
    loop.call_later(5.0, loop.kill, process)
    loop.run_until_complete(asyncio.sleep(60.0))
    assert lines == ["began"]
    assert not task.done()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError):  # it is closed by this test alone
        task.get_coro().throw(RuntimeError)
    loop.close()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


def _in_network(seed: int, **line: object) -> tuple[bytes, float]:
    """What comes back of a kilobyte, and when."""
    loop = WorldLoop(random.Random(seed))
    network = Network(loop, random.Random(seed))

    async def talk() -> bytes:
        await asyncio.start_server(_echo, "127.0.0.1", 7)
        for name, value in line.items():
            setattr(network.line(7), name, value)
        reader, writer = await asyncio.open_connection("127.0.0.1", 7)
        writer.write(bytes(range(256)) * 4)
        writer.write_eof()
        received = await reader.read()
        writer.close()
        return received

    try:
        return loop.run_until_complete(talk()), loop.time()
    finally:
        loop.close()


def test_the_network_delivers_in_order_late_and_in_slices() -> None:
    plain, soon_s = _in_network(1)
    late, late_s = _in_network(1, latency_s=2.0, jitter_s=1.0, slice_bytes=7)
    assert plain == late == bytes(range(256)) * 4
    assert soon_s < 1.0
    assert late_s > 8.0


def test_nobody_listens_is_a_refusal() -> None:
    with pytest.raises(ConnectionRefusedError):
        _in_network(1, refused=True)


# ---- parts ---------------------------------------------------------------------------------------------------------


@dataclass
class Setting:
    value: int = 1


def test_layers_end_in_any_order_and_leave_no_trace() -> None:
    setting = Setting()
    layers = Layers(setting)
    first, second = layers.push(value=2), layers.push(value=3)
    assert setting.value == 3
    first()
    assert setting.value == 3
    second()
    assert setting.value == 1


@dataclass
class EditedLine:
    edit: object = None
    body: object = None
    handshake: bytes | None = None
    effects: int = 0


def test_frames_are_edited_however_they_are_cut() -> None:
    editor, line = FrameEditor(), EditedLine(edit=lambda frame: [frame, frame.upper()])
    editor.requests.edit(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: x\r\n\r\n", line)  # type: ignore[arg-type]
    sent = b"HTTP/1.1 101 Go\r\n\r\n" + text_frame(b"a" * 3) + text_frame(b"b" * 70_000)
    received = b"".join(
        piece
        for at in range(0, len(sent), 999)
        for _, piece in editor.edit(sent[at : at + 999], line)  # type: ignore[arg-type]
    )
    assert received == b"HTTP/1.1 101 Go\r\n\r\n" + b"".join(
        text_frame(text) for text in (b"aaa", b"AAA", b"b" * 70_000, b"B" * 70_000)
    )
    assert line.effects == 2


def test_a_handshake_gets_another_answer_and_the_end() -> None:
    editor, line = FrameEditor(), EditedLine(handshake=b"HTTP/1.1 503 Busy\r\n\r\n")
    editor.requests.edit(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", line)  # type: ignore[arg-type]
    answer = editor.edit(b"HTTP/1.1 101 Go\r\n\r\n", line)  # type: ignore[arg-type]
    assert answer == [(0.0, b"HTTP/1.1 503 Busy\r\n\r\n"), (0.0, b"")]


def test_a_book_differs_where_a_change_was_missed_a_while_ago() -> None:
    true, known = Ladder(LadderSpec(0.1, 50, 40, 100.0, 3), 90_000.0, np.random.default_rng(1)), LocalBook()
    known.replace_levels(*([(price * 0.1, size) for price, size in side.items()] for side in (true.bids, true.asks)))
    true.change_log.clear()
    assert book_differences(known, true, sizes=True) == []
    price, size = true.top_bids(3)[-1]
    known.update_levels([(price * 0.1, size + 1.0)], [])
    assert book_differences(known, true, sizes=True) == [pytest.approx(price * 0.1)]
    assert book_differences(known, true, sizes=False) == []
    true.change_log.append(BookChange(true.version + 1, {price: size}, {}))
    assert book_differences(known, true, sizes=True) == []
