"""Alerts of rules on the screen: which are new, and the escape sequences of notifications."""

from __future__ import annotations

from io import StringIO

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import Alert, FlowSnapshot, State
from dfmon.tui.rule_notices import RuleNotices, notification
from dfmon.tui.view import View
from tests.sinks.factory import snapshot


def at(seq: int, *times: int) -> FlowSnapshot:
    made = snapshot(seq)
    alerts = tuple(Alert(snapshot(time).ts_ns, "RULE", f"at {time}", "BTC", "", "rule") for time in times)
    return replace(made, rule_alerts=alerts or UNSET)


def test_each_new_alert_once_and_none_of_the_past() -> None:
    notices = RuleNotices()

    def new(made: FlowSnapshot) -> list[str]:
        return [alert.text for alert in notices.new_alerts([made])]

    assert new(at(5, 5, 3, 2)) == ["at 5"]
    assert new(at(5, 5, 3, 2)) == []
    assert new(at(9, 8, 7, 5, 3)) == ["at 7", "at 8"]
    assert new(at(10)) == []


@pytest.mark.parametrize("mode", ["live", "replay"])
def test_deliveries_on_the_terminal(mode: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {})
    hub, view, written = SnapshotHub(mode), View("BTC", "dark", "braille"), StringIO()
    notices, deliveries = RuleNotices(), {"rule": ("line", "toast", "bell", "osc")}
    hub.publish(at(5, 5))
    for _ in range(2):
        notices.show(hub, view, deliveries, 0, lambda: print("bell", file=written), written)
    assert view.notice == "at 5"
    assert written.getvalue() == ("bell\n\x1b]9;dfmon: at 5\x07" if mode == "live" else "")


def test_rules_of_another_dfmon_are_shown_as_a_notice() -> None:
    hub, view, written = SnapshotHub("live"), View("BTC", "dark", "braille"), StringIO()
    hub.publish(at(1, 1))
    RuleNotices().show(hub, view, {}, 0, lambda: print("bell", file=written), written)
    assert (view.notice, written.getvalue()) == ("at 1", "")


@pytest.mark.parametrize(
    ("environ", "start", "end"),
    [
        ({}, "\x1b]9;dfmon: a?b", "\x07"),
        ({"TERM": "xterm-kitty"}, "\x1b]99;i=dfmon:d=0:p=title;dfmon\x1b\\", "p=body;a?b\x1b\\"),
        ({"TERM_PROGRAM": "WezTerm"}, "\x1b]777;notify;dfmon;a?b", "\x1b\\"),
        ({"TMUX": "/tmp/tmux,1,0"}, "\x1bPtmux;\x1b\x1b]9;dfmon: a?b", "\x07\x1b\\"),
    ],
)
def test_a_notification_by_terminal_and_without_foreign_control(environ: dict[str, str], start: str, end: str) -> None:
    found = notification("a\x1bb", "osc", environ)
    assert found.startswith(start)
    assert found.endswith(end)
