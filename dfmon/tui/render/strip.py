"""The two lines above the panels: the market in short, and the scenario that holds."""

from __future__ import annotations

import math

from dfmon.model.snapshot import Flip, FlowSnapshot
from dfmon.model.units import utc
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.text import (
    NOTHING,
    Row,
    Run,
    by_priority,
    clock,
    cut,
    duration,
    fit,
    foreign,
    level,
    money,
    percent,
    price,
    spread,
)

_CALM, _WATCH, _VIOLENT = "scene.calm", "scene.watch", "scene.violent"
_BUCKET_STYLE = {1: _CALM, 2: _CALM, 3: _CALM, 4: _WATCH, 5: _VIOLENT, 6: _VIOLENT}


def mode_runs(frame: Frame) -> list[Run]:
    """`● LIVE 14:03:07Z`: what kind of screen this is, in a word that cannot be missed."""
    now = f" {clock(frame.clock_ns)}Z"
    if frame.paused:
        hidden = f" +{frame.hidden}" if frame.hidden else ""
        return [(f" PAUSED{hidden} ", "mode.paused"), (now, "text")]
    if frame.mode == "replay":
        return _replay(frame)
    if frame.snapshot is None:
        return [("◐ WAITING", "warn"), (now, "text")]
    if frame.stale_s is not None:
        return [(f" STALE {duration(frame.stale_s)} ", "mode.stale"), (now, "text")]
    if frame.stale:
        return [(" STALE ", "mode.stale"), (now, "text")]
    return [(f"● {frame.mode.upper()}", "ok" if frame.mode == "live" else "mode.sim"), (now, "text")]


def _replay(frame: Frame) -> list[Run]:
    run = frame.runtime
    word = "END" if run.finished else "PAUSED" if run.paused else speed_word(run.replay_speed)
    day = f" {utc(frame.clock_ns):%Y-%m-%d}" if frame.snapshot else ""
    return [(f"◆ REPLAY {word} ".rstrip() + " ", "mode.replay"), (f"{day} {clock(frame.clock_ns)}Z", "replay")]


def speed_word(speed: float | None) -> str:
    """`x8`, or nothing where the speed is not known."""
    return "" if speed is None else "max" if math.isinf(speed) or speed <= 0 else f"x{speed:g}"


def strip(frame: Frame, width: int) -> list[Row]:
    """Spot first, the mode at the right; what lies between gives way by rank."""
    right = [*mode_runs(frame), (" ", "text")]
    snapshot = frame.snapshot
    if snapshot is None:
        return [spread([(f" {foreign(frame.view.underlying, 8)} ", "strong"), (frame.waiting(), "dim")], right, width)]
    room = width - sum(len(text) for text, _ in right) - 3
    wide = width >= 120
    runs = by_priority(_parts(frame, snapshot, wide), room, 3 if wide else 2)
    lead = " dfmon  " if width >= 150 else " "
    return [spread([(lead, "dim"), *runs], right, width)]


def _parts(frame: Frame, s: FlowSnapshot, wide: bool) -> list[tuple[int, tuple[Run, ...]]]:
    """(rank, runs) of each fact; what is not known is `n/a` where there is room for that."""
    c, dollar = s.context, "$" if wide else ""
    depth, adv, hours = s.liquidity.depth_1pct_usd, s.liquidity.adv_usd, c.next_expiry_hours
    facts: list[tuple[int, str, str | None]] = [
        (5, "DVOL", None if c.dvol is None else f"{100 * c.dvol:.1f}"),
        (6, "basis", None if c.basis is None else percent(c.basis)),
        (7, "fund", None if c.funding is None else percent(c.funding, 3)),
        (8, "depth 1%", None if depth is None or not wide else f"${money(depth, plus=False)}"),
        (4, "ADV", None if adv is None else f"{dollar}{money(adv, plus=False)}"),
        (6, "next expiry" if wide else "exp", None if hours is None else duration(hours * 3600)),
    ]
    out: list[tuple[int, tuple[Run, ...]]] = [(0, _spot(frame, s, wide))]
    for rank, name, value in facts:
        if value is not None:
            out.append((rank, ((f"{name} ", "dim"), (value, frame.shade("text")))))
        elif wide:
            out.append((rank + 4, ((f"{name} ", "dim"), (NOTHING, "absent"))))
    return out


def _spot(frame: Frame, s: FlowSnapshot, wide: bool) -> tuple[Run, ...]:
    move = s.context.return_1h
    mark = "~" if frame.stale else ""
    name, value = (f"{foreign(s.underlying, 8)} ", "strong"), (mark + price(s.spot), frame.shade("strong"))
    if move is None:
        return name, value
    glyph, tint = ("▲", "pos") if move > 0 else ("▼", "neg") if move < 0 else ("■", "text")
    return name, value, (f" {glyph}{percent(move, 2)}", frame.shade(tint)), (" 1h" if wide else "", "dim")


def flip_runs(flip: Flip, spot: float | None, long: bool = True) -> list[Run]:
    """`flip 100,900 (-2.5%, -1.2 sd)`: the distance is spot's, seen from the flip."""
    if flip.level is None:
        if flip.quality == "absent":
            return [("flip ", "dim"), ("n/a", "absent")]
        side = "long" if flip.net > 0 else "short" if flip.net < 0 else "flat"
        return [("no flip", "flip"), (f", {side} gamma throughout" if long else f", {side} gamma", "text")]
    out: list[Run] = [("flip ", "dim"), (level(flip.level), "flip")]
    if spot is not None:
        away = spot / flip.level - 1
        sigma = f", {math.copysign(abs(flip.distance_sigma), away):+.1f} sd" if flip.distance_sigma is not None else ""
        out.append((f" ({percent(away)}{sigma if long else ''})", "text"))
    if len(flip.roots) > 1 and long:
        out.append((f" +{len(flip.roots) - 1} more", "dim"))
    return out


def banner(frame: Frame, width: int) -> list[Row]:
    """The scenario, who trades which way, where the flip is, and how sure all this is."""
    s = frame.snapshot
    if s is None:
        return [fit(((" no scenario yet", "dim"),), width)]
    scene, wide = s.scenario, width >= 120
    right: list[Run] = []
    if frame.unread:
        right = [(f" [n] {frame.unread} ! ", "warn")]
    room = width - sum(len(t) for t, _ in right) - 1
    runs = by_priority(_scene_parts(frame, s, wide), room, 3 if wide else 2)
    if wide and scene.reasons:
        left = room - sum(len(t) for t, _ in runs) - 8
        why = cut(foreign(", ".join(scene.reasons), 300), left)
        if why:
            runs += [("   why: ", "dim"), (why, "text")]
    return [spread([(" ", "text"), *runs], right, width)]


def _scene_parts(frame: Frame, s: FlowSnapshot, wide: bool) -> list[tuple[int, tuple[Run, ...]]]:
    scene = s.scenario
    unknown = bool(scene.overlay) or frame.stale
    name = f" {scene.bucket} {foreign(scene.name, 16)} " if scene.bucket else f" {foreign(scene.name, 16)} "
    style = "scene.unknown" if unknown else _BUCKET_STYLE.get(scene.bucket, "scene.unknown")
    chip: list[Run] = [(name, style)]
    word = foreign(scene.overlay, 48 if wide else 200) or "UNKNOWN"
    word = word if wide else word.partition(":")[0][:16]  # the reason only where there is room
    if unknown and word != scene.name:
        chip.append((f" {word}", "warn"))
    if not scene.bucket:
        return [(0, tuple(chip)), (1, tuple(flip_runs(s.flip, s.spot)))]
    side: tuple[Run, ...] = ()
    if scene.side != "none":
        side = (("dealers ", "text"), (scene.side.upper(), "pos" if scene.side == "sell" else "neg"))
    weight = "material" if scene.material else "immaterial"
    return [
        (0, tuple(chip)),
        (1, side),
        (2, ((weight, "text" if scene.material else "dim"),) if wide or not scene.material else ()),
        (1, tuple(flip_runs(s.flip, s.spot))),
        (4, ((f"{'confidence' if wide else 'conf'} ", "dim"), (percent(scene.confidence, 0, plus=False), "text"))),
        (
            5,
            (
                (
                    f"since {foreign(scene.since, 24)[11:16]}Z ({duration(scene.age_s)})"
                    if wide and len(scene.since) > 15
                    else duration(scene.age_s),
                    "dim",
                ),
            ),
        ),
    ]
