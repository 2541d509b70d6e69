"""The sheet of transitions, and the list of alerts."""

from __future__ import annotations

import msgspec
import pytest

from dfmon.model.scenario import Features, ScenarioChange, ShareOfVolume
from dfmon.model.snapshot import Alert, Detail, FlowSnapshot
from dfmon.model.units import HOUR, MINUTE, iso
from dfmon.tui.render.formatting import format_moment, rows_to_text
from dfmon.tui.render.transitions import transition_rows
from dfmon.tui.view import View

from . import factory
from .conftest import ScreenCheck
from .test_render import frame, panels

CHANGES = (
    ScenarioChange(
        iso(factory.NOW - 86 * MINUTE), "flow", "DAMP", "PIN",
        ("spot 0.12 sd from the top strike", "gamma share 28 %", "20h56m to 08:00"),
        {"phi_gamma": 0.0031, "z": 0.2, "psi": None},
    ),
    ScenarioChange(
        iso(factory.NOW - 20 * HOUR), "flow", None, "SQUEEZE (armed)",
        ("NGI -3.9M", "phi_g .0024 >= mid .0021"), {"phi_gamma": 0.0024},
    ),
)  # fmt: skip
FEATURES = Features(phi_gamma=ShareOfVolume(0.0033, 0.0012, 0.0021, 0.0034), phi_vanna=ShareOfVolume(None, 0.003))


def snapshot() -> FlowSnapshot:
    base = factory.snapshot(features=FEATURES)
    assert isinstance(base.detail, Detail)
    return msgspec.structs.replace(base, tables=msgspec.structs.replace(base.detail, transitions=CHANGES))


@pytest.mark.parametrize("width", [60, 80, 160])
def test_the_sheet(width: int, check_screen: ScreenCheck) -> None:
    text = rows_to_text(transition_rows(frame(snapshot(), View("BTC", sheet="transitions")), width))
    assert max(map(len, text.splitlines())) <= width
    check_screen(text, f"transitions_{width}")


def test_each_change_lasted_until_the_next_one() -> None:
    text = rows_to_text(transition_rows(frame(snapshot()), 160))
    rows = [line for line in text.splitlines() if " from " in line]
    assert "1 PIN " in rows[0]
    assert " 86m " in rows[0]
    assert "from DAMP: spot 0.12 sd" in rows[0]
    assert "5 SQUEEZE (armed)" in rows[1]
    assert "18h34m" in rows[1]
    assert "phi_gamma 0.0031  z 0.2" in text
    assert "n/a" in next(line for line in text.splitlines() if "phi_v" in line)


def test_shares_are_of_the_time_with_a_scenario() -> None:
    rows = [
        msgspec.structs.replace(row, bucket=0 if i < 60 else 1 if i < 120 else 5)
        for i, row in enumerate(factory.history())
    ]
    text = rows_to_text(transition_rows(frame(snapshot(), rows=rows), 120))
    assert "of 2h59m of the last 24 h" in text
    assert " 1 PIN           34%" in text
    assert " 5 SQUEEZE       66%" in text


def test_an_alert_says_how_long_it_lasted_and_its_day() -> None:
    base = factory.snapshot()
    assert isinstance(base.detail, Detail)
    alerts = (
        Alert(factory.NOW - 20 * MINUTE, "SCENE", "BTC flow: DAMP -> PIN: " + "a long reason, " * 12, "BTC", "flow"),
        Alert(factory.NOW - 23 * HOUR, "SCENE", "BTC flow: PIN -> DAMP: spot left", "BTC", "flow"),
        Alert(factory.NOW - 24 * HOUR, "FEED", "deribit down for 14m03s"),
    )
    made = msgspec.structs.replace(base, tables=msgspec.structs.replace(base.detail, alerts=alerts))
    lines = panels(frame(made, View("BTC", panel="alerts", zoom=True)), 100, 30)["alerts"].splitlines()
    assert "20m+" in lines[1]
    assert "a long reason" in lines[2], "a long text goes on in the next line"
    before = next(line for line in lines if "PIN -> DAMP" in line)
    assert "22h40m" in before
    assert before.startswith(" 21 Nov 15:03")
    assert any("deribit down for 14m03s" in line for line in lines)
    assert format_moment(factory.NOW, factory.NOW) == "14:03:07"


def test_a_change_without_a_time_is_still_shown() -> None:
    base = snapshot()
    assert isinstance(base.detail, Detail)
    changes = (msgspec.structs.replace(CHANGES[0], ts="yesterday"), CHANGES[1])
    made = msgspec.structs.replace(base, tables=msgspec.structs.replace(base.detail, transitions=changes))
    rows = [line for line in rows_to_text(transition_rows(frame(made), 120)).splitlines() if " from " in line]
    assert rows[0].startswith(" n/a ")
    assert "from DAMP" in rows[0]
    assert rows[1].startswith(" 21 Nov 18:03")
