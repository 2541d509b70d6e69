"""What must hold at every snapshot and in every text, whatever happens. `ending` has what must hold at the end.

A check reports to `world.fail` and goes on. docs/reliability.md explains how to add one.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import msgspec

from dfmon.model.snapshot import FlowSnapshot, to_json
from dfmon.model.units import SECOND
from tests.snapshot_checks import nulls, numbers, reason_for
from tests.worlds.books import check_books
from tests.worlds.session import PASSWORD, TOKEN, SessionRun

if TYPE_CHECKING:
    from tests.worlds.world import World

STALE_LIMIT_S: Final = 15.0 + 1.0  # of marks, and the second within which it must be said; a tick comes to it
QUIET_S: Final = 130.0  # without a fault, after which nothing may be stale any more
_DETAIL_EVERY: Final = 20
_BOOKS_EVERY: Final = 5
_MIN_SPACING: Final = 0.5  # of two ticks, while no clock is changed: a slow machine may delay the first
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_REASON: Final = re.compile(r"[a-z_0-9.-]+(, [a-z_0-9.-]+)*: (?!partial)")  # of missing fields, not of what is left out
_SUMS: Final = ("ngi", "vss", "chl", "volg")
_TOLERANCE: Final = 1e-9


def check_snapshot(world: World, run: SessionRun, before: FlowSnapshot | None, now: FlowSnapshot, text: bytes) -> None:
    """All checks of one snapshot and its JSON."""
    _check_sequence(world, before, now)
    _check_nulls(world, now, text)
    _check_bands(world, now)
    _check_sums(world, now)
    _check_staleness(world, run, now)
    _check_held(world, run, before, now)
    _check_bounds(world, run)
    if now.seq % _BOOKS_EVERY == 0:
        check_books(world, run)
    if run.driver.overruns and not world.is_ever_slow and not world.clock_changed:
        world.fail(f"{run.driver.overruns} ticks came before the last one was computed")


def _check_sequence(world: World, before: FlowSnapshot | None, now: FlowSnapshot) -> None:
    if before is not None and now.seq != before.seq + 1:
        world.fail(f"snapshot {now.seq} follows {before.seq}")
    spacing_s = 0.0 if before is None else (now.ts_ns - before.ts_ns) / SECOND
    if before is not None and not world.clock_changed and spacing_s < _MIN_SPACING * world.plan.tick_s:
        world.fail(f"two ticks within {spacing_s:.4f} s")


def _check_nulls(world: World, now: FlowSnapshot, text: bytes) -> None:
    shown = msgspec.json.decode(text)
    missing, sentences = nulls(shown), shown["unavailable"]
    reasons = {path: reason_for(path, sentences) for path in missing}
    for path, reason in reasons.items():
        if not reason:
            world.fail(f"{path} has no reason")
    check_text(world, text.decode(), "a snapshot")
    if now.seq % _DETAIL_EVERY == 0:
        _check_tables(world, now)


def _check_tables(world: World, now: FlowSnapshot) -> None:
    """No number anywhere is NaN or infinite, and every reason for missing fields has one that is missing."""
    if not all(map(math.isfinite, numbers(msgspec.to_builtins(now.without_views())))):
        world.fail("a number is not finite")
    missing = nulls(msgspec.json.decode(to_json(now, "live", detail=True)))
    for sentence in now.unavailable:
        if _REASON.match(sentence) and not any(reason_for(path, [sentence]) for path in missing):
            world.fail(f"nothing is missing, but {sentence!r}")


def _check_bands(world: World, now: FlowSnapshot) -> None:
    for name in now.metrics.__struct_fields__:
        metric = getattr(now.metrics, name)
        if metric.lo is not None and metric.hi is not None and not metric.lo <= metric.hi:
            world.fail(f"the band of {name} is {metric.lo} to {metric.hi}")
        elif None not in (metric.lo, metric.hi, metric.value) and not metric.lo <= metric.value <= metric.hi:
            world.fail(f"{name} {metric.value} is outside of its band, {metric.lo} to {metric.hi}")
    flip = now.flip
    if flip.lo is not None and flip.hi is not None and not flip.lo <= flip.hi:
        world.fail(f"the band of the flip is {flip.lo} to {flip.hi}")


def _check_sums(world: World, now: FlowSnapshot) -> None:
    """Expiries add up to the totals, and strikes do."""
    tables: tuple[tuple[str, Sequence[Any]], ...] = ("expiries", now.by_expiry), ("strikes", now.by_strike)
    for (what, rows), name in product(tables, _SUMS):
        total = getattr(now.metrics, name).value
        parts = [part for row in rows if (part := getattr(row, name)) is not None]
        if total is None or not parts or len(parts) < len(rows):
            continue
        error = abs(sum(parts) - total)
        if error > _TOLERANCE * max(sum(map(abs, parts)), 1.0):
            world.fail(f"{name} of the {what} add up to another total, {error:g} off")


def _check_staleness(world: World, run: SessionRun, now: FlowSnapshot) -> None:
    """STALE whenever inputs are over their age, and never in a world that is well."""
    now_s = world.loop.time()
    heard_s = world.lines("deribit")[0].delivered_s
    if (
        now.state != "stale"
        and now_s - heard_s > STALE_LIMIT_S + world.plan.tick_s
        and world.slowness == 1.0
        and not world.read_cost_s
    ):
        world.fail(f"live, {now_s - heard_s:.1f} s after the last byte of Deribit")
    started_s = run.started_s
    if now.state == "stale" and now_s - max(world.quiet_since_s, started_s) > QUIET_S:
        reason = now.freshness.stale if now.freshness is not None else ""
        world.fail(f"stale ({reason}) {now_s - world.quiet_since_s:.0f} s after the last fault")
    fresh = now.freshness
    if fresh is not None and (now.state == "stale") != bool(fresh.stale):
        world.fail(f"the state is {now.state}, the reason {fresh.stale!r}")


def _check_held(world: World, run: SessionRun, before: FlowSnapshot | None, now: FlowSnapshot) -> None:
    """While stale or warming: no market alert; while stale the scenario is held, without confidence."""
    if now.state != "stale" and not now.positions.warming:
        return
    if now.state == "stale":
        if now.scenario.confidence is not None:
            world.fail("a stale snapshot has a confidence")
        same_model = before is not None and before.positions.model == now.positions.model
        if before is not None and same_model and before.scenario.bucket != now.scenario.bucket:
            world.fail(f"the scenario changed to {now.scenario.name} while stale")
    book = run.driver.flow_states()["BTC"].books.get(now.positions.model)
    if book is not None and any(alert.ts_ns == now.ts_ns for alert in book.scene.alerts):
        world.fail(f"an alert while {'stale' if now.state == 'stale' else 'warming'}")


def _check_bounds(world: World, run: SessionRun) -> None:
    recorder = run.recorder
    if len(recorder._mailbox) > recorder._max_records + 1 or recorder._mailbox_size_bytes > recorder._max_bytes:
        world.fail(f"{len(recorder._mailbox)} records wait for the disk")
    for store in (run.history, run.trades):
        if len(store._pending) > store._max_pending:
            world.fail(f"{len(store._pending)} rows wait for the disk")


def check_text(world: World, text: str, where: str) -> None:
    """No secret and no control character in any output."""
    for secret in (TOKEN, PASSWORD):
        if secret in text:
            world.fail(f"a secret is in {where}")
    if where != "a response" and (found := _CONTROL.search(text)):
        world.fail(f"{where} holds the character {found.group()!r}")


class LogCheck(logging.Handler):
    """Checks every line of the log."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.INFO)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        check_text(self._world, record.getMessage(), "the log")
