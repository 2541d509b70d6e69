"""Alerts of the rules as they come: a notice on the screen, the terminal's bell, a notification of the desktop.

A notification is an escape sequence that the terminal turns into one, also over ssh and through tmux, whose option
`allow-passthrough` must be on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from msgspec import UNSET

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import Alert, FlowSnapshot
from dfmon.model.units import sanitize
from dfmon.tui.view import View

Key = tuple[str, int, str]  # coin, time and rule of an alert

DEFAULT: Final = ("line", "toast")  # of a rule of another dfmon
_BY_PROGRAM: Final = {"iTerm.app": "osc9", "WezTerm": "osc777", "ghostty": "osc777", "vscode": "osc9"}
_BY_TERM: Final = {"xterm-kitty": "osc99", "foot": "osc777", "rxvt-unicode-256color": "osc777"}
_MAX_LETTERS: Final = 200
_NOTICE_S: Final = 10.0


class Terminal(Protocol):
    """The driver of the screen."""

    def write(self, data: str, /) -> object: ...


class RuleNotices:
    """The alerts that a frame has and the one before had not, by coin."""

    def __init__(self) -> None:
        self._shown: dict[str, set[Key]] = {}

    def show(
        self,
        hub: SnapshotHub,
        view: View,
        deliveries: Mapping[str, Sequence[str]],
        now_ns: int,
        ring: Callable[[], None],
        terminal: Terminal | None,
    ) -> None:
        """Shows the new alerts by the deliveries of their rules; in a replay on the screen alone."""
        snapshots = [snapshot for name in hub.underlyings() if (snapshot := hub.latest(name)) is not None]
        for alert in self.new_alerts(snapshots):
            places = deliveries.get(alert.cause, DEFAULT)
            if "toast" in places:
                view.show_notice(alert.text, now_ns, _NOTICE_S)
            if hub.mode == "replay":
                continue
            if "bell" in places:
                ring()
            for delivery in places:
                if delivery.startswith("osc") and terminal is not None:
                    terminal.write(notification(alert.text, delivery, os.environ))

    def new_alerts(self, snapshots: Iterable[FlowSnapshot]) -> Iterator[Alert]:
        """Oldest first. At the first sight of a coin they are those of its newest tick."""
        for snapshot in snapshots:
            alerts = () if snapshot.rule_alerts is UNSET else snapshot.rule_alerts
            before = self._shown.get(snapshot.underlying)
            keys = {_key(alert) for alert in alerts}
            if before is None:
                before = {_key(alert) for alert in alerts if alert.ts_ns < snapshot.ts_ns}
            self._shown[snapshot.underlying] = keys
            for alert in reversed(alerts):
                if _key(alert) not in before:
                    yield alert


def _key(alert: Alert) -> Key:
    return alert.underlying, alert.ts_ns, alert.cause


def notification(text: str, delivery: str, environ: Mapping[str, str]) -> str:
    r"""The escape sequence of a notification: OSC 9, 777 or 99, by the terminal for `osc`; passed through tmux.

    >>> notification("spot", "osc9", {})
    '\x1b]9;dfmon: spot\x07'
    """
    shown = sanitize(text, _MAX_LETTERS)
    if delivery == "osc":
        program, term = environ.get("TERM_PROGRAM", ""), environ.get("TERM", "")
        delivery = _BY_PROGRAM.get(program) or _BY_TERM.get(term) or "osc9"
    sequence = {
        "osc9": f"\x1b]9;dfmon: {shown}\x07",
        "osc777": f"\x1b]777;notify;dfmon;{shown}\x1b\\",
        "osc99": f"\x1b]99;i=dfmon:d=0:p=title;dfmon\x1b\\\x1b]99;i=dfmon:d=1:p=body;{shown}\x1b\\",
    }[delivery]
    if environ.get("TMUX"):
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return sequence
