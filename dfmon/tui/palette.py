"""Styles by name for a palette, and glyphs for a terminal without Unicode.

Colour never carries meaning alone: every sign and side is printed too, and with NO_COLOR the same names become bold,
underline, dim and reverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from rich.color import Color
from rich.style import Style

from dfmon.tui.render.formatting import style_of
from dfmon.tui.themes import HEAT_STEPS, THEMES, Colour, HeatRamp, Theme


def rgb(colour: Colour) -> tuple[int, int, int]:
    """The RGB colour of a 24-bit text, or of an index 16..255: a 6 x 6 x 6 cube, then greys."""
    if isinstance(colour, str):
        return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
    if colour >= 232:
        grey = 8 + 10 * (colour - 232)
        return grey, grey, grey
    levels = (0, 95, 135, 175, 215, 255)
    cube = colour - 16
    return levels[cube // 36], levels[cube // 6 % 6], levels[cube % 6]


def contrast(first: Colour, second: Colour) -> float:
    """WCAG contrast ratio of two colours."""

    def luminance(colour: Colour) -> float:
        parts = [c / 255 for c in rgb(colour)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def contrasting_text(background: Colour) -> int:
    """Black or white, whichever has the higher contrast on `background`."""
    return max((16, 231), key=lambda text: contrast(text, background))


def _style(foreground: Colour, background: Colour, attributes: str = "") -> Style:
    return Style(
        color=_rich_colour(foreground),
        bgcolor=_rich_colour(background),
        bold="bold" in attributes or None,
        underline="underline" in attributes or None,
        reverse="reverse" in attributes or None,
    )


def _rich_colour(colour: Colour) -> Color:
    return Color.parse(colour) if isinstance(colour, str) else Color.from_ansi(colour)


@cache
def styles(palette: str, colour: bool = True, true_colour: bool = True) -> dict[str, Style]:
    """Rich styles by name; without colour only their attributes.

    A name that ends in `@long` or `@short` is drawn on the field of the chart where dealers are long or short gamma.
    """
    if not colour:
        mono = THEMES["mono"]
        return {name: _without_colour(name, style) for name, style in _theme_styles(mono, true_colour).items()}
    return _theme_styles(THEMES[palette], true_colour)


def _theme_styles(theme: Theme, true_colour: bool) -> dict[str, Style]:
    out: dict[str, Style] = {}
    for name, (foreground, background, attributes) in theme.roles.items():
        out[name] = _style(foreground, theme.background if background is None else background, attributes)
    for sign, step in (("neg", 4), ("pos", 4)):
        out[f"bar.{sign}"] = _style(_ramp(theme, sign, true_colour)[step], theme.background)
        out[f"{sign}.faint"] = _style(_ramp(theme, sign, true_colour)[step - 1], theme.background)
    for side in ("buy", "sell"):
        out[f"bar.{side}"] = out[side]
    out |= _heat_styles(theme, true_colour)
    for field, tint in zip(("long", "short"), theme.tints or (None, None), strict=True):
        on_field = tint if tint is not None and true_colour else theme.background
        for name in ("text", "spot", "flip", "faint", "dim", "strong", "pos.faint", "neg.faint"):
            attributes = theme.roles[name][2] if name in theme.roles else ""
            on_tint: Colour = theme.roles[name][0] if name in theme.roles else _ramp(theme, name[:3], true_colour)[3]
            out[f"{name}@{field}"] = _style(on_tint, on_field, attributes)
    return out


def _ramp(theme: Theme, sign: str, true_colour: bool) -> tuple[Colour, ...]:
    return _colours(theme.ramp, sign, true_colour)


def _colours(ramp: HeatRamp, sign: str, true_colour: bool) -> tuple[Colour, ...]:
    if true_colour:
        return ramp.positive if sign == "pos" else ramp.negative
    return ramp.positive_256 if sign == "pos" else ramp.negative_256


def _heat_styles(theme: Theme, true_colour: bool) -> dict[str, Style]:
    """Cells by colour step, their cursor and swatch: `heat` of the sign, -6 to +6, `map` of the side, -4 to +4."""
    out: dict[str, Style] = {}
    for prefix, ramp, cursor in (("heat", theme.ramp, "bold"), ("map", theme.side_ramp, "bold reverse")):
        out[f"{prefix}+0"] = _style(theme.roles["label"][0], theme.background)
        out[f"{prefix}+0.cursor"] = _style(theme.roles["strong"][0], theme.background, cursor)
        for sign, factor in (("neg", -1), ("pos", 1)):
            for step, background in enumerate(_colours(ramp, sign, true_colour), start=1):
                text = contrasting_text(background)
                out[f"{prefix}{factor * step:+d}"] = _style(text, background)
                out[f"{prefix}{factor * step:+d}.cursor"] = _style(text, background, cursor)
                if prefix == "heat":
                    out[f"swatch{factor * step:+d}"] = _style(background, theme.background)
    return out


def _without_colour(name: str, style: Style) -> Style:
    """The same emphasis without colour: filled chips, cells that are strongly negative and the cursor are reverse."""
    is_chip = name.startswith(("mode.", "notice", "found", "scene.")) and name != "scene.calm"
    is_strong_cell = name in {f"heat-{step}" for step in range(HEAT_STEPS // 2, HEAT_STEPS + 1)}
    dim = name.partition("@")[0] in {"dim", "faint", "edge", "absent", "axis", "caveat", "heat.none", "heat.stale"}
    reverse = is_chip or is_strong_cell or name.endswith(".cursor")
    return Style(bold=style.bold, underline=style.underline, dim=dim or None, reverse=reverse or None)


_ASCII_GLYPHS: Final = {
    ord(glyph): ascii_glyph
    for glyphs, ascii_glyph in (
        ("─▔", "-"), ("╌", ":"), ("│╎", "|"), ("┌┐└┘├┤┬┴┼", "+"), ("╭╯", "/"), ("╮╰", "\\"), ("▲", "^"), ("▼", "v"),
        ("■", "="), ("●", "*"), ("◐", "%"), ("○", "o"), ("◆", "#"), ("▶", ">"), ("◀", "<"), ("█▇▆", "#"), ("▓▅", "%"),
        ("▒▄▃", "="), ("░▂", "-"), ("·▁", "."), ("┈", "."), ("◂", "<"), ("▹▸", ">"), ("◃", "<"), ("▐▌▉▊▋▍▎▏", "#"),
        ("╷┆┣┫", "|"), ("↑", "^"), ("↓", "v"), ("╱", "/"), ("▬", "="), ("━", "="), ("…", "."), ("≈", "~"),
    )
    for glyph in glyphs
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Appearance:
    """Palette, colour and glyphs: turns the style names and characters of runs into those of segments."""

    palette: str = "dark"
    colour: bool = True
    ascii: bool = False
    true_colour: bool = True

    def style(self, name: str) -> Style:
        found = styles(self.palette, self.colour, self.true_colour)
        return found.get(style_of(name)) or found["text"]

    def glyphs(self, text: str) -> str:
        return text.translate(_ASCII_GLYPHS) if self.ascii else text
