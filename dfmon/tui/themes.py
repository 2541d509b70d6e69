"""Colours of the five palettes, in three channels that never mix.

Sign (`pos`, `neg`: long and short gamma too) is blue and amber, side (`buy`, `sell`) mint and pink, danger only filled
chips. A number is an xterm-256 index, which ssh and tmux carry everywhere; a text is a 24-bit colour, drawn where the
terminal has them, with an index beside it for where it has not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

Colour = int | str
Spec = tuple[int, int | None, str]  # foreground, background (None: that of the screen), attributes

HEAT_STEPS: Final = 6
SIDE_STEPS: Final = 4


@dataclass(frozen=True, slots=True)
class HeatRamp:
    """Backgrounds of cells from weak to strong, negative (sell) and positive (buy): 24-bit, and as indexes."""

    negative: tuple[str, ...]
    positive: tuple[str, ...]
    negative_256: tuple[int, ...]
    positive_256: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Theme:
    """One palette. `tints` are the backgrounds of the chart where dealers are long and short gamma, None for none."""

    background: int
    roles: dict[str, Spec]
    ramp: HeatRamp
    side_ramp: HeatRamp
    tints: tuple[str, str] | None = None
    attributes: dict[str, str] = field(default_factory=dict)


_DARK_RAMP: Final = HeatRamp(
    negative=("#2e2410", "#4d390c", "#7a5600", "#a87700", "#e09a00", "#ffd27a"),
    positive=("#1b2338", "#22325c", "#2b4488", "#3a5cc0", "#5f87ff", "#a8beff"),
    negative_256=(58, 94, 130, 172, 214, 222),
    positive_256=(17, 18, 25, 32, 69, 111),
)
_LIGHT_RAMP: Final = HeatRamp(
    negative=("#fff3d9", "#ffe0a3", "#ffc65c", "#e69a00", "#a86800", "#6b4200"),
    positive=("#e6ecff", "#c4d2ff", "#94adff", "#5f87ff", "#2f5fd7", "#0000af"),
    negative_256=(230, 223, 221, 172, 130, 58),
    positive_256=(195, 189, 147, 69, 26, 19),
)
_DARK_SIDES: Final = HeatRamp(
    negative=("#33101f", "#6b1f45", "#a12f69", "#d83f8c"),
    positive=("#0f2a1e", "#1c5539", "#2d8257", "#3fae76"),
    negative_256=(52, 89, 126, 169),
    positive_256=(22, 23, 29, 72),
)
_LIGHT_SIDES: Final = HeatRamp(
    negative=("#fbe0ee", "#f2b3d3", "#e377ac", "#c8327f"),
    positive=("#d9f2e3", "#a8dcbf", "#6cc394", "#2f9e68"),
    negative_256=(225, 218, 175, 162),
    positive_256=(194, 151, 114, 35),
)
_GREYS: Final = tuple(f"#{8 + 10 * step:02x}{8 + 10 * step:02x}{8 + 10 * step:02x}" for step in range(24))
_MONO_RAMP: Final = HeatRamp(
    negative=tuple(_GREYS[index - 232] for index in (247, 249, 251, 252, 254, 255)),
    positive=tuple(_GREYS[index - 232] for index in (235, 236, 237, 238, 239, 240)),
    negative_256=(247, 249, 251, 252, 254, 255),
    positive_256=(235, 236, 237, 238, 239, 240),
)

_MONO_SIDES: Final = HeatRamp(
    negative=_MONO_RAMP.negative[:SIDE_STEPS],
    positive=_MONO_RAMP.positive[:SIDE_STEPS],
    negative_256=_MONO_RAMP.negative_256[:SIDE_STEPS],
    positive_256=_MONO_RAMP.positive_256[:SIDE_STEPS],
)


def _dark_roles(
    pos: int = 69, neg: int = 214, buy: int = 121, sell: int = 205, level: int = 183, ok: int = 114, danger: int = 160
) -> dict[str, Spec]:
    """Roles on the dark background; the arguments are the colours in which its palettes differ."""
    return {
        "text": (252, None, ""),
        "strong": (231, None, "bold"),
        "dim": (246, None, ""),
        "faint": (239, None, ""),
        "absent": (245, None, ""),
        "edge": (239, None, ""),
        "edge.focus": (246, None, ""),
        "title": (250, None, ""),
        "title.focus": (231, None, "bold"),
        "head": (246, None, ""),
        "label": (250, None, ""),
        "axis": (246, None, ""),
        "key": (231, None, "bold"),
        "row.spot": (231, None, "bold"),
        "spot": (231, None, ""),
        "history": (66, None, ""),
        "caveat": (246, None, ""),
        "pos": (pos, None, ""),
        "neg": (neg, None, ""),
        "buy": (buy, None, ""),
        "sell": (sell, None, ""),
        "flip": (level, None, ""),
        "ok": (ok, None, ""),
        "warn": (221, None, ""),
        "bad": (203, None, "bold"),
        "scene": (252, None, "bold"),
        "replay": (183, None, "bold"),
        "notice": (231, 24, ""),
        "found": (16, 221, ""),
        "mode.sim": (16, 80, "bold"),
        "mode.replay": (16, 183, "bold"),
        "mode.stale": (231, danger, "bold"),
        "mode.paused": (16, 221, "bold"),
        "scene.calm": (231, 237, "bold"),
        "scene.watch": (16, 221, "bold"),
        "scene.violent": (231, danger, "bold"),
        "scene.unknown": (231, 240, "bold"),
        "heat.none": (239, None, ""),
        "heat.none.cursor": (231, None, "bold"),
        "heat.stale": (245, None, ""),
        "heat.stale.cursor": (231, None, "bold"),
    }


_LIGHT_ROLES: Final[dict[str, Spec]] = {
    "text": (236, None, ""),
    "strong": (16, None, "bold"),
    "dim": (241, None, ""),
    "faint": (250, None, ""),
    "absent": (242, None, ""),
    "edge": (250, None, ""),
    "edge.focus": (241, None, ""),
    "title": (238, None, ""),
    "title.focus": (16, None, "bold"),
    "head": (241, None, ""),
    "label": (238, None, ""),
    "axis": (241, None, ""),
    "key": (16, None, "bold"),
    "row.spot": (16, None, "bold"),
    "spot": (16, None, ""),
    "history": (66, None, ""),
    "caveat": (241, None, ""),
    "pos": (19, None, ""),
    "neg": (130, None, ""),
    "buy": (23, None, ""),
    "sell": (163, None, ""),
    "flip": (91, None, ""),
    "ok": (28, None, ""),
    "warn": (94, None, ""),
    "bad": (160, None, "bold"),
    "scene": (236, None, "bold"),
    "replay": (91, None, "bold"),
    "notice": (231, 24, ""),
    "found": (16, 220, ""),
    "mode.sim": (16, 80, "bold"),
    "mode.replay": (16, 183, "bold"),
    "mode.stale": (231, 160, "bold"),
    "mode.paused": (16, 220, "bold"),
    "scene.calm": (16, 253, "bold"),
    "scene.watch": (16, 220, "bold"),
    "scene.violent": (231, 160, "bold"),
    "scene.unknown": (231, 240, "bold"),
    "heat.none": (250, None, ""),
    "heat.none.cursor": (16, None, "bold"),
    "heat.stale": (242, None, ""),
    "heat.stale.cursor": (16, None, "bold"),
}
_MONO_ROLES: Final[dict[str, Spec]] = {
    **_dark_roles(pos=250, neg=231, buy=250, sell=231, level=231, ok=250),
    "neg": (231, None, "bold"),
    "sell": (231, None, "bold underline"),
    "history": (244, None, ""),
    "warn": (231, None, ""),
    "bad": (231, None, "bold"),
    "replay": (231, None, "bold"),
    "notice": (231, 238, ""),
    "mode.sim": (16, 250, "bold"),
    "mode.replay": (16, 250, "bold"),
    "mode.paused": (16, 250, "bold"),
    "mode.stale": (16, 231, "bold"),
    "scene.watch": (16, 250, "bold"),
    "scene.violent": (16, 231, "bold"),
}
_DARK_TINTS: Final = ("#141b2b", "#2a1f0e")

THEMES: Final = {
    "dark": Theme(233, _dark_roles(), _DARK_RAMP, _DARK_SIDES, _DARK_TINTS),
    "light": Theme(231, _LIGHT_ROLES, _LIGHT_RAMP, _LIGHT_SIDES, ("#e4ebff", "#fff0d6")),
    "colour-blind": Theme(233, _dark_roles(pos=33, neg=178, level=188, ok=252), _DARK_RAMP, _DARK_SIDES, _DARK_TINTS),
    "green-red": Theme(233, _dark_roles(buy=83, sell=203, danger=92), _DARK_RAMP, _DARK_SIDES, _DARK_TINTS),
    "mono": Theme(233, _MONO_ROLES, _MONO_RAMP, _MONO_SIDES),
}
