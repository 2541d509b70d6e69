"""Events that must not be conflated: prints, scenario changes and alerts, each once, numbered, in order.

They are read off the snapshots of the engine, whose listeners see every one. A snapshot of another process, a recorded
board or an attached screen has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec
from msgspec import UNSET

from dfmon.core.scenario.transitions import Transition
from dfmon.core.snapshot.build import BookResult
from dfmon.core.snapshot.scenario_values import scenario_changes
from dfmon.engine.what_if import inputs_of
from dfmon.model.frames import ChainFrame
from dfmon.model.scenario import ScenarioChange
from dfmon.model.snapshot import Alert, FlowSnapshot
from dfmon.model.units import iso

EventKind = Literal["print", "scenario", "alert"]


class Print(msgspec.Struct, frozen=True):
    """A print of an option; `seq` is the venue's number of it, `iv` decimal, `size` coins, `price` as quoted."""

    ts: str
    name: str
    seq: int
    side: Literal["buy", "sell"]  # of the taker
    size: float
    price: float
    iv: float | None
    block: bool
    rfq: bool
    combo: bool
    liquidation: str


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event, with the member of its kind.

    `session` is the run of dfmon, `number` counts the events of the underlying in it from 1: a gap is a loss, and a
    number that was there before a repeat.
    """

    session: str
    number: int
    kind: EventKind
    ts: str
    underlying: str
    print: Print | None = None
    scenario: ScenarioChange | None = None
    alert: Alert | None = None

    @property
    def id(self) -> str:
        return f"{self.session}-{self.number}"


class EventReader:
    """The events of consecutive snapshots of one underlying, under the published position model."""

    def __init__(self, session: str) -> None:
        self._session = session
        self._number = 0
        self._first_ns: int | None = None
        self._log: tuple[Transition, ...] = ()
        self._alerts: frozenset[object] = frozenset()

    @property
    def count(self) -> int:
        """Events so far."""
        return self._number

    def read(self, snapshot: FlowSnapshot) -> list[Event]:
        """The new ones of a snapshot, oldest first within a kind. What a restart restored is not new."""
        tick = inputs_of(snapshot)
        result = None if snapshot.views is UNSET else snapshot.views.result
        if tick is None or not isinstance(result, BookResult):
            return []
        if self._first_ns is None:
            self._first_ns = snapshot.ts_ns
        first_ns = self._first_ns
        events = [self._event("print", print_.ts, snapshot, print_=print_) for print_ in _prints(tick.chain)]
        if (log := result.transitions) is not self._log:  # the same one while the scenario stays
            changes = tuple(change for change in log if change.ts_ns >= first_ns and change not in self._log)
            events += [
                self._event("scenario", change.ts, snapshot, scenario=change)
                for change in reversed(scenario_changes(changes))
            ]
            self._log = log
        raised = (*result.alerts, *(() if snapshot.rule_alerts is UNSET else snapshot.rule_alerts))
        alerts = {_identity(alert): alert for alert in reversed(raised) if alert.ts_ns >= first_ns}
        events += [
            self._event("alert", iso(alert.ts_ns), snapshot, alert=alert)
            for key, alert in alerts.items()
            if key not in self._alerts
        ]
        self._alerts = frozenset(alerts)
        return events

    def _event(
        self,
        kind: EventKind,
        ts: str,
        snapshot: FlowSnapshot,
        *,
        print_: Print | None = None,
        scenario: ScenarioChange | None = None,
        alert: Alert | None = None,
    ) -> Event:
        self._number += 1
        return Event(self._session, self._number, kind, ts, snapshot.underlying, print_, scenario, alert)


def _identity(alert: Alert) -> object:
    """The identity of an alert. That of an outage tells its duration anew with every tick."""
    return alert.ts_ns, alert.kind, alert.model, alert.cause, alert.text.partition(" lost for ")[0]


def _prints(chain: ChainFrame) -> Iterator[Print]:
    """The prints since the last tick, in the order in which they arrived."""
    trades = chain.trades
    if not trades.uid.size:
        return
    rows = {uid: row for row, uid in enumerate(chain.uid.tolist())}
    for i, uid in enumerate(trades.uid.tolist()):
        sigma = float(trades.sigma[i])
        yield Print(
            ts=iso(int(trades.exch_ns[i])),
            name=chain.names[rows[uid]] if uid in rows else "",
            seq=int(trades.seq[i]),
            side="buy" if trades.side[i] > 0 else "sell",
            size=float(trades.size[i]),
            price=float(trades.price[i]),
            iv=sigma if sigma > 0.0 else None,
            block=bool(trades.block[i]),
            rfq=bool(trades.rfq[i]),
            combo=bool(trades.combo[i]),
            liquidation=trades.liquidation[i],
        )
