"""The sheet of the own book: its numbers, sentences, file and commands."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from dfmon.core.step import FlowParams, FlowState, step
from dfmon.engine.own_book import MOVES, OwnBook, own_book
from dfmon.model.errors import UsageError
from dfmon.model.snapshot import FlowSnapshot, to_json
from dfmon.tui.commands import run_command
from dfmon.tui.computation import Computed, compute
from dfmon.tui.cursor import move_cursor
from dfmon.tui.render.formatting import format_usd
from dfmon.tui.render.frame import Frame
from dfmon.tui.sheet_work import own_book_work
from dfmon.tui.view import View
from tests.chains import frame as chain
from tests.chains import market

from .conftest import ScreenCheck
from .test_render import frame, panels

CHAIN = chain(days=(0.4, 9.0, 37.0))
BOOK = {CHAIN.names[18]: 120.0, CHAIN.names[21]: -80.0, CHAIN.names[34]: -60.0, "BTC-1JAN31-90000-C": 5.0}


def shown(model: str = "short-all", view: View | None = None, **overrides: object) -> Frame:
    made = step(FlowState.initial(), CHAIN, market(), (), FlowParams(model), 1)[1]
    made = msgspec.structs.replace(made, **overrides)
    computed = Computed(("BTC", made.positions.model), own_book(made, BOOK))
    view = view or View("BTC", sheet="book", book_file="/home/me/desk.csv", computed={"book": computed})
    return frame(made, view, now_ns=made.ts_ns)


def book_of(at: Frame) -> OwnBook:
    found = at.result("book", OwnBook)
    assert found is not None
    return found


@pytest.mark.parametrize("size", [(80, 24), (160, 48)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_the_sheet(size: tuple[int, int], check_screen: ScreenCheck) -> None:
    text = panels(shown(), *size)["book"]
    assert max(map(len, text.splitlines())) <= size[0]
    assert "desk.csv" in text
    assert "/home/me" not in text
    assert "3 BTC options, 1 not on the board" in text
    assert ("(BTC-1JAN31-90000-C); options only, stays in this process" in text) == (size[0] == 160)
    check_screen(text, f"own_book_{size[0]}")


def test_the_numbers_are_those_of_the_engine() -> None:
    at = shown()
    found, lines = book_of(at), panels(at, 160, 48)["book"].splitlines()
    (delta,) = [line for line in lines if line.startswith(" delta $")]
    assert delta.split()[2:4] == [format_usd(found.mine["delta"]), format_usd(found.dealers["delta"])]
    for move in found.moves:
        (line,) = [
            text for text in lines if text.lstrip("▶ ").startswith(f"{100 * move.move:+.0f}%".replace("+0%", "0%"))
        ]
        assert line.lstrip("▶ ").split()[2] == format_usd(move.pnl)


def test_the_sentence_is_that_of_the_cursor() -> None:
    at = shown()
    lose = book_of(at).moves[1]
    assert MOVES[at.view.book_row] == lose.move == -0.05
    outcome = f"at -5 % (95,000): you {'lose' if lose.pnl < 0 else 'gain'} {format_usd(abs(lose.pnl), plus=False)}"
    assert outcome in panels(at, 80, 24)["book"]
    move_cursor(-1, 0, at.view, at)
    move_cursor(-1, 0, at.view, at)
    assert "at -8 % (92,000)" in panels(at, 160, 48)["book"]
    move_cursor(len(MOVES), 0, at.view, at)
    assert "at +8 % (108,000)" in panels(at, 160, 48)["book"]


def test_no_verdict_on_the_dealers_while_warming_or_without_a_sign() -> None:
    at = shown()
    assert at.snapshot is not None
    for change in ({"warming": True, "coverage": 0.3}, {"model": "flow", "decided": False}):
        positions = msgspec.structs.replace(at.snapshot.positions, **change)
        computed = Computed(("BTC", positions.model), book_of(at))
        view = View("BTC", sheet="book", book_file="desk.csv", computed={"book": computed})
        text = panels(shown(view=view, positions=positions), 160, 48)["book"]
        assert "dealers BUY" not in text
        assert "dealers sell " not in text
        assert "with the move" not in text
        assert ("warming" in text) == ("warming" in change)


def test_the_file_is_read_beside_the_screen_and_once_more_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"instrument_name,position\n{CHAIN.names[18]},3\n")
    at = shown(view=View("BTC", sheet="book", book_file=str(path)))
    (work,) = own_book_work(at)
    found = compute(work).value
    assert isinstance(found, OwnBook)
    assert [(option.name, option.position) for option in found.options] == [(CHAIN.names[18], 3.0)]
    path.write_text("instrument_name,position\nnonsense,three\n")
    (changed,) = own_book_work(at)
    assert changed.key != work.key
    failed = compute(changed)
    assert failed.value is None
    assert "mine.csv" in failed.error
    at.view.computed["book"] = failed
    assert "mine.csv" in panels(at, 160, 48)["book"]
    assert own_book_work(shown(view=View("BTC", sheet="book"))) == []


def test_the_command_opens_the_sheet_and_takes_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"instrument_name,position\n{CHAIN.names[18]},3\n")
    view = View("BTC")
    at = shown(view=view)
    run_command(view, at, "book")
    assert (view.sheet, view.book_file) == ("book", "")
    assert ":book FILE" in panels(at, 80, 24)["book"]
    with pytest.raises(UsageError, match=r"none\.csv"):
        run_command(view, at, f"book {tmp_path / 'none.csv'}")
    assert view.book_file == ""
    run_command(view, at, f"book {path}")
    assert view.book_file == str(path)


def test_nothing_of_the_book_is_in_the_snapshot() -> None:
    made: FlowSnapshot | None = shown().snapshot
    assert made is not None
    before = to_json(made, "live", detail=True)
    assert own_book(made, BOOK) is not None
    assert to_json(made, "live", detail=True) == before
