"""Colours by xterm-256 index: four diverging palettes and the fixed tones around them.

ssh and tmux carry 256 indexes everywhere, in a third fewer bytes than 24-bit colour. Colour never carries meaning
alone: every sign is printed too, and with NO_COLOR the same names become bold, dim and reverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from rich.color import Color
from rich.style import Style

BACKGROUND: Final = 234

# nine steps from most negative to most positive, then text tones: negative, positive, their faint lines, the flip
_HEAT_COLOURS: Final = {
    "blue-orange": (117, 75, 32, 25, 236, 130, 172, 214, 222),
    "purple-green": (183, 140, 97, 54, 236, 22, 28, 71, 120),
    "green-red": (217, 203, 160, 88, 236, 22, 28, 71, 120),
    "mono": (254, 248, 243, 239, 236, 239, 243, 248, 254),
}
_SIGN_COLOURS: Final = {
    "blue-orange": (75, 214, 25, 94, 177),
    "purple-green": (140, 114, 54, 22, 221),
    "green-red": (203, 114, 88, 22, 177),
    "mono": (252, 252, 241, 241, 255),
}
_FIXED_STYLES: Final = {
    "text": (252, None, ""),
    "strong": (231, None, "bold"),
    "dim": (246, None, ""),
    "faint": (239, None, ""),
    "absent": (243, None, ""),
    "edge": (240, None, ""),
    "edge.focus": (250, None, ""),
    "title": (250, None, ""),
    "title.focus": (231, None, "bold"),
    "head": (247, None, ""),
    "label": (250, None, ""),
    "axis": (244, None, ""),
    "key": (231, None, "bold"),
    "row.spot": (231, None, "bold"),
    "spot": (231, None, ""),
    "history": (66, None, ""),
    "caveat": (244, None, ""),
    "ok": (114, None, ""),
    "warn": (221, None, ""),
    "bad": (203, None, "bold"),
    "scene": (252, None, "bold"),
    "replay": (183, None, "bold"),
    "notice": (231, 24, ""),
    "mode.sim": (80, None, "bold"),
    "mode.replay": (16, 183, "bold"),
    "mode.stale": (231, 124, "bold"),
    "mode.paused": (16, 221, "bold"),
    "scene.calm": (16, 109, "bold"),
    "scene.watch": (16, 221, "bold"),
    "scene.violent": (231, 124, "bold"),
    "scene.unknown": (252, 239, "bold"),
    "heat.none": (239, None, ""),
    "heat.none.cursor": (231, None, "bold"),
    "heat.stale": (243, None, ""),
    "heat.stale.cursor": (231, None, "bold"),
}


def rgb(index: int) -> tuple[int, int, int]:
    """The RGB colour of an index 16..255: a 6 x 6 x 6 cube, then greys."""
    if index >= 232:
        grey = 8 + 10 * (index - 232)
        return grey, grey, grey
    levels = (0, 95, 135, 175, 215, 255)
    cube = index - 16
    return levels[cube // 36], levels[cube // 6 % 6], levels[cube % 6]


def contrast(first: int, second: int) -> float:
    """WCAG contrast ratio of two indexes."""

    def luminance(index: int) -> float:
        parts = [c / 255 for c in rgb(index)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def contrasting_text(background: int) -> int:
    """Black or white, whichever has the higher contrast on `background`."""
    return max((16, 231), key=lambda text: contrast(text, background))


def _style(foreground: int, background: int | None, attributes: str) -> Style:
    background_index = BACKGROUND if background is None else background
    return Style(
        color=Color.from_ansi(foreground), bgcolor=Color.from_ansi(background_index), bold="bold" in attributes or None
    )


@cache
def styles(palette: str, colour: bool = True) -> dict[str, Style]:
    """Rich styles by name; without colour only their attributes."""
    out = {name: _style(*spec) for name, spec in _FIXED_STYLES.items()}
    negative, positive, faint_negative, faint_positive, flip = _SIGN_COLOURS[palette]
    out["neg"] = out["buy"] = _style(negative, None, "")
    out["pos"] = out["sell"] = _style(positive, None, "")
    out["bar.neg"], out["bar.pos"] = (
        _style(_HEAT_COLOURS[palette][2], None, ""),
        _style(_HEAT_COLOURS[palette][6], None, ""),
    )
    out["neg.faint"], out["pos.faint"] = _style(faint_negative, None, ""), _style(faint_positive, None, "")
    out["flip"] = _style(flip, None, "")
    for step, background in zip(range(-4, 5), _HEAT_COLOURS[palette], strict=True):
        text_colour = 250 if step == 0 else contrasting_text(background)
        out[f"heat{step:+d}"] = _style(text_colour, background, "")
        out[f"heat{step:+d}.cursor"] = _style(231 if step == 0 else text_colour, background, "bold")
        out[f"swatch{step:+d}"] = _style(background if step else 246, None, "")
    return out if colour else {name: _without_colour(name, style) for name, style in out.items()}


def _without_colour(name: str, style: Style) -> Style:
    """The same emphasis without colour."""
    is_chip = name.startswith(("mode.", "scene.", "notice")) and name != "mode.sim"
    dim = name in {"dim", "faint", "edge", "absent", "axis", "caveat", "heat.none", "heat.stale"}
    return Style(bold=style.bold, dim=dim or None, reverse=is_chip or name.endswith(".cursor") or None)


_ASCII_GLYPHS: Final = {
    ord(glyph): ascii_glyph
    for glyphs, ascii_glyph in (
        ("─▔", "-"), ("╌", ":"), ("│╎", "|"), ("┌┐└┘├┤┬┴┼", "+"), ("╭╯", "/"), ("╮╰", "\\"), ("▲", "^"), ("▼", "v"),
        ("■", "="), ("●", "*"), ("◐", "%"), ("○", "o"), ("◆", "#"), ("▶▸", ">"), ("◀", "<"), ("█▇▆", "#"), ("▓▅", "%"),
        ("▒▄▃", "="), ("░▂", "-"), ("·▁", "."),
    )
    for glyph in glyphs
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Appearance:
    """Palette, colour and glyphs: turns the style names and characters of runs into those of segments."""

    palette: str = "blue-orange"
    colour: bool = True
    ascii: bool = False

    def style(self, name: str) -> Style:
        found = styles(self.palette, self.colour)
        return found.get(name) or found["text"]

    def glyphs(self, text: str) -> str:
        return text.translate(_ASCII_GLYPHS) if self.ascii else text
